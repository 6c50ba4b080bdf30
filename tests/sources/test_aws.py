"""Secrets of AWS Secrets Manager, through a real botocore and a small server on loopback."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from tenantry.errors import Failure, MissingExtraError
from tenantry.sources.aws import AwsSecretsSource
from tenantry.testing.serving import LoopbackServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from starlette.requests import Request
    from starlette.types import ASGIApp
    from tests.sources.conftest import Bench

PLANTED = "sk-planted-0123456789"
NAME: dict[str, Any] = {"aws_secrets": "tenants/acme"}
VERSION = "11111111-2222-3333-4444-555555555555"
SESSION_TOKEN = "planted-session-token"
SECRET = {"Name": "tenants/acme", "VersionId": VERSION, "SecretString": PLANTED}


class SecretsManager(LoopbackServer):
    """Answers every GetSecretValue alike, and keeps what it was asked."""

    name = "secretsmanager"

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, str, Any]] = []
        self.status = 200
        self.body: Any = SECRET
        self.headers: dict[str, str] = {}

    def application(self) -> ASGIApp:
        return Starlette(routes=[Route("/", self.answer, methods=["POST"])])

    def refuse(self, code: str, status: int = 400) -> None:
        self.status = status
        self.body = {"__type": code, "Message": f"it is not {PLANTED}"}

    async def answer(self, request: Request) -> Response:
        key = request.headers["authorization"].partition("Credential=")[2].partition(",")[0]
        asked = await request.body()
        with self.lock:
            self.asked.append((request.headers["x-amz-target"], key, json.loads(asked)))
            body = self.body if isinstance(self.body, str) else json.dumps(self.body)
            media = "application/x-amz-json-1.1"
            return Response(body, self.status, {**self.headers, "content-type": media})


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SecretsManager]:
    """The server, in an environment that has a login for it and would lead elsewhere."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIDENV",
        "AWS_SECRET_ACCESS_KEY": "planted-access-key",
        "AWS_SESSION_TOKEN": SESSION_TOKEN,
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_MAX_ATTEMPTS": "5",
        "AWS_EC2_METADATA_DISABLED": "true",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    with SecretsManager() as server:
        yield server


@pytest.fixture
def said(aws: SecretsManager) -> dict[str, Any]:
    return {"region": "eu-central-1", "endpoint_url": aws.url, "timeout": 5}


@pytest.fixture
def bench(opened: Callable[..., Bench], said: dict[str, Any]) -> Bench:
    return opened({"aws_secrets": said})


def source_of(bench: Bench) -> AwsSecretsSource:
    source = bench.secrets._source("aws_secrets").opened()
    assert isinstance(source, AwsSecretsSource)
    return source


def test_a_text_is_read(bench: Bench, aws: SecretsManager) -> None:
    """Without more the current version is asked for, and the document knows its VersionId."""
    document = bench.fetch(NAME)
    assert PLANTED == document.secret(None, "api_key").reveal()
    assert VERSION == document.version
    [(target, key, asked)] = aws.asked
    assert ("secretsmanager.GetSecretValue", {"SecretId": "tenants/acme"}) == (target, asked)
    assert ["AKIDENV", "eu-central-1", "secretsmanager"] == key.split("/")[:1] + key.split("/")[2:4]


def test_a_json_object_has_fields(bench: Bench, aws: SecretsManager) -> None:
    """A SecretString that is a JSON object gives the field that is meant."""
    aws.body = {**SECRET, "SecretString": json.dumps({"api_key": "key-1", "webhook": "key-2"})}
    assert "key-1" == bench.value(NAME)
    assert "key-2" == bench.value({"aws_secrets": {"name": "tenants/acme", "field": "webhook"}})


def test_a_version_and_a_stage_are_asked_for(bench: Bench, aws: SecretsManager) -> None:
    """A reference may pin a VersionId and name a staging label."""
    bench.fetch({"aws_secrets": {"name": "a", "version": VERSION, "stage": "AWSPREVIOUS"}})
    expected = {"SecretId": "a", "VersionId": VERSION, "VersionStage": "AWSPREVIOUS"}
    assert expected == aws.asked[0][2]


def test_a_binary_secret_is_refused(bench: Bench, aws: SecretsManager) -> None:
    """A SecretBinary is no text, and the error says so."""
    aws.body = {"Name": "tenants/acme", "VersionId": VERSION, "SecretBinary": "c2stcGxhbnRlZA=="}
    error = bench.error(NAME)
    assert Failure.DENIED is error.failure
    assert "tenants/acme: it is a SecretBinary (store it as text)" == str(error)


@pytest.mark.parametrize(
    ("code", "status", "failure"),
    [
        ("ResourceNotFoundException", 400, Failure.ABSENT),
        ("InvalidRequestException", 400, Failure.ABSENT),
        ("AccessDeniedException", 400, Failure.DENIED),
        ("DecryptionFailure", 400, Failure.DENIED),
        ("UnrecognizedClientException", 400, Failure.DENIED),
        ("InvalidSignatureException", 400, Failure.DENIED),
        ("ExpiredTokenException", 400, Failure.DENIED),
        ("ThrottlingException", 400, Failure.TRANSIENT),
        ("InternalServiceError", 500, Failure.TRANSIENT),
    ],
)
def test_a_refusal_is_known_by_its_code(
    bench: Bench,
    aws: SecretsManager,
    shown: Callable[[BaseException, str], bool],
    code: str,
    status: int,
    failure: Failure,
) -> None:
    """An error carries AWS's code and the name, not its text, after a single attempt."""
    aws.refuse(code, status)
    error = bench.error(NAME)
    assert (failure, f"tenants/acme: AWS {code}") == (error.failure, error.reason)
    assert 1 == len(aws.asked)
    assert not shown(error, PLANTED)


def test_a_code_that_is_none_is_not_shown(bench: Bench, aws: SecretsManager) -> None:
    """What stands in the place of a code but is none is left out."""
    aws.refuse("it is sk-planted")
    assert "tenants/acme: AWS refused" == str(bench.error(NAME))


def test_a_gateway_in_between_is_transient(bench: Bench, aws: SecretsManager) -> None:
    """A page of HTML with a 502 passes."""
    aws.status, aws.body = 502, "<html>bad gateway</html>"
    error = bench.error(NAME)
    assert (Failure.TRANSIENT, "tenants/acme: AWS 502") == (error.failure, error.reason)


def test_a_reply_that_is_no_json_is_transient(bench: Bench, aws: SecretsManager) -> None:
    """What something in between answers with a 200 is taken to pass."""
    aws.body = "<html>welcome</html>"
    error = bench.error(NAME)
    assert Failure.TRANSIENT is error.failure
    assert "tenants/acme: the reply has no SecretString" == str(error)


def test_a_redirect_is_not_followed(bench: Bench, aws: SecretsManager) -> None:
    """A request goes where the configuration says, whatever the reply says."""
    aws.status, aws.body, aws.headers = 307, {}, {"location": f"{aws.url}/"}
    assert Failure.TRANSIENT is bench.error(NAME).failure
    assert 1 == len(aws.asked)


def test_an_endpoint_that_is_down_is_transient(bench: Bench, aws: SecretsManager) -> None:
    """With the port closed the error names the kind of failure and the secret."""
    aws.stop()
    error = bench.error(NAME)
    assert (Failure.TRANSIENT, "tenants/acme: AWS EndpointConnectionError") == (
        error.failure,
        error.reason,
    )


def test_limits_are_those_of_the_settings(bench: Bench, aws: SecretsManager) -> None:
    """Both time limits are `timeout`, one attempt is made, and no proxy is used."""
    bench.fetch(NAME)
    config = source_of(bench)._client.meta.config
    assert (5.0, 5.0) == (config.connect_timeout, config.read_timeout)
    assert 1 == config.retries["total_max_attempts"]
    assert {} == config.proxies


def test_no_credentials_are_said(
    opened: Callable[..., Bench], said: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where botocore finds no login, the login is what is wrong."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    error = opened({"aws_secrets": said}).error(NAME)
    assert Failure.DENIED is error.failure
    assert "tenants/acme: AWS NoCredentialsError (check credentials and policy)" == str(error)


def test_a_region_is_needed(opened: Callable[..., Bench], aws: SecretsManager) -> None:
    """Where neither settings nor environment name a region, the error says that."""
    error = opened({"aws_secrets": {}}).error(NAME)
    assert (Failure.DENIED, "tenants/acme: AWS NoRegionError") == (error.failure, error.reason)


def test_the_profile_of_the_settings_is_used(
    opened: Callable[..., Bench],
    aws: SecretsManager,
    said: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """`profile` goes before AWS_PROFILE and the keys of the environment."""
    (tmp_path / "credentials").write_text(
        "[tenantry]\naws_access_key_id = AKIDFILE\naws_secret_access_key = planted\n"
    )
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert PLANTED == opened({"aws_secrets": {**said, "profile": "tenantry"}}).value(NAME)
    assert "AKIDFILE" == aws.asked[0][1].split("/")[0]


def test_an_unknown_profile_is_said(
    opened: Callable[..., Bench], said: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A profile of the environment that no file has is a login that cannot succeed."""
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    error = opened({"aws_secrets": said}).error(NAME)
    assert (Failure.DENIED, "tenants/acme: AWS ProfileNotFound") == (error.failure, error.reason)


def test_rotated_credentials_are_read_again(
    bench: Bench, aws: SecretsManager, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """After a refused login the next fetch finds what is there by then."""
    aws.refuse("ExpiredTokenException")
    bench.error(NAME)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDNEW")
    aws.status, aws.body = 200, SECRET
    assert PLANTED == bench.value(NAME)
    assert ["AKIDENV", "AKIDNEW"] == [key.split("/")[0] for _, key, _ in aws.asked]


def test_a_denied_secret_costs_no_login(bench: Bench, aws: SecretsManager) -> None:
    """A policy that denies one secret leaves the client as it is."""
    bench.fetch(NAME)
    before = source_of(bench)._client
    aws.refuse("AccessDeniedException")
    bench.error(NAME)
    assert before is source_of(bench)._client


def test_botocores_own_log_shows_nothing(
    bench: Bench, aws: SecretsManager, caplog: pytest.LogCaptureFixture
) -> None:
    """At DEBUG botocore would log replies and session tokens; what is not ours it logs on."""
    caplog.set_level(logging.DEBUG)
    bench.fetch(NAME)
    assert PLANTED not in caplog.text
    assert SESSION_TOKEN not in caplog.text
    logging.getLogger("botocore.parsers").debug("the application's own")
    assert "the application's own" in caplog.text


def test_the_parents_connections_are_left_alone(bench: Bench) -> None:
    """After a fork the source opens its own, and neither uses nor closes those it inherited."""
    bench.fetch(NAME)
    source = source_of(bench)
    before = source._client
    source.after_fork()
    assert PLANTED == bench.value(NAME)
    assert ([before], False) == (source._inherited, source._client is before)


def test_a_missing_package_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without botocore, opening the source tells what to install."""
    for name in ("botocore", "botocore.session"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError) as caught:
        bench.fetch(NAME)
    assert "AWS secrets need more packages: pip install 'tenantry[aws]'" == str(caught.value)


def test_a_source_that_was_not_used_is_closed(bench: Bench) -> None:
    """Closing before the first fetch closes nothing, and is no error."""
    source = source_of(bench)
    source.close()
    assert source._client is None
