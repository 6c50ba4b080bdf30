"""Secrets of Google Secret Manager, through a real google-auth and a small server on loopback."""

from __future__ import annotations

import base64
import json
import logging
import sys
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.oauth2.service_account import Credentials
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from tenantry.errors import Failure, MissingExtraError
from tenantry.sources.gcp import GcpSecretsSource
from tenantry.testing.serving import LoopbackServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from starlette.requests import Request
    from starlette.types import ASGIApp
    from tests.sources.conftest import Bench

PLANTED = "sk-planted-0123456789"
NAME: dict[str, Any] = {"gcp_secrets": "acme-openai"}
WHERE = "projects/contoso/secrets/acme-openai"


def payload(data: bytes, version: str = "7") -> dict[str, Any]:
    encoded = base64.b64encode(data).decode()
    return {
        "name": f"projects/123/secrets/acme-openai/versions/{version}",
        "payload": {"data": encoded},
    }


class SecretManager(LoopbackServer):
    """A token endpoint and a Secret Manager, each with one answer for everybody."""

    name = "secretmanager"

    def __init__(self) -> None:
        super().__init__()
        self.paths: list[str] = []
        self.tokens = 0
        self.revoked: set[str] = set()
        self.answers: dict[str, tuple[int, Any]] = {"secret": (200, payload(PLANTED.encode()))}
        self.headers: dict[str, str] = {}

    def application(self) -> ASGIApp:
        token = Route("/token", self.token, methods=["POST"])
        return Starlette(routes=[token, Route("/v1/{path:path}", self.secret)])

    def refuse(self, status: int, code: str = "", what: str = "secret", **headers: str) -> None:
        message = f"it is not {PLANTED}"
        error: Any = {"code": status, "message": message, "status": code}
        if what == "token":
            self.answers[what] = (status, {"error": code, "error_description": message})
        else:
            self.answers[what] = (status, {"error": error})
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    async def token(self, _: Request) -> Response:
        with self.lock:
            self.tokens += 1
            token = {"access_token": f"token-{self.tokens}", "expires_in": 3600}
            return self.reply("token", (200, token))

    async def secret(self, request: Request) -> Response:
        with self.lock:
            self.paths.append(request.path_params["path"])
            if request.headers["authorization"] in self.revoked:
                return Response(status_code=401)
            return self.reply("secret", (404, {}))

    def reply(self, what: str, usual: tuple[int, Any]) -> Response:
        status, body = self.answers.get(what, usual)
        text = body if isinstance(body, str) else json.dumps(body, indent=2)
        return Response(text, status, self.headers)


@pytest.fixture(scope="module")
def private_key() -> str:
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SecretManager]:
    """The server, in an environment that knows no login and would lead elsewhere."""
    for name, value in {
        "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "nothing.json"),
        "CLOUDSDK_CONFIG": str(tmp_path),
        "NO_GCE_CHECK": "true",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "NETRC": str(tmp_path / "netrc"),
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login nobody password nothing\n")
    # Newer google-auth also asks iamcredentials.googleapis.com, on a thread of its own.
    required = "_is_regional_access_boundary_lookup_required"
    monkeypatch.setattr(Credentials, required, lambda _: False, raising=False)
    with SecretManager() as server:
        yield server


@pytest.fixture
def account(google: SecretManager, tmp_path: Path, private_key: str) -> Path:
    """The key file of a service account."""
    file = tmp_path / "account.json"
    told = {
        "type": "service_account",
        "client_email": "tenantry@contoso.iam.gserviceaccount.com",
        "private_key_id": "1",
        "private_key": private_key,
        "token_uri": f"{google.url}/token",
    }
    file.write_text(json.dumps(told))
    return file


@pytest.fixture
def said(google: SecretManager, account: Path) -> dict[str, Any]:
    return {
        "project": "contoso",
        "endpoint": google.url,
        "credentials_file": str(account),
        "timeout": 5,
    }


@pytest.fixture
def bench(opened: Callable[..., Bench], said: dict[str, Any]) -> Bench:
    return opened({"gcp_secrets": said})


def source_of(bench: Bench) -> GcpSecretsSource:
    source = bench.secrets._source("gcp_secrets").opened()
    assert isinstance(source, GcpSecretsSource)
    return source


def test_the_latest_version_is_read(bench: Bench, google: SecretManager) -> None:
    """Without a version it is the latest one, and the document knows which that is."""
    document = bench.fetch(NAME)
    assert PLANTED == document.secret(None, "api_key").reveal()
    assert "7" == document.version
    assert [f"{WHERE}/versions/latest:access"] == google.paths


@pytest.mark.parametrize("version", [3, "3", "stable"])
def test_a_version_is_pinned(bench: Bench, google: SecretManager, version: int | str) -> None:
    """A reference may name a version by its number or alias."""
    bench.fetch({"gcp_secrets": {"name": "acme-openai", "version": version}})
    assert [f"{WHERE}/versions/{version}:access"] == google.paths


def test_a_json_object_has_fields(bench: Bench, google: SecretManager) -> None:
    """A text that is a JSON object gives the field that is meant."""
    google.answers["secret"] = (200, payload(b'{"api_key": "key-1", "webhook": "key-2"}'))
    assert "key-1" == bench.value(NAME)


def test_one_login_serves_many_reads(bench: Bench, google: SecretManager) -> None:
    """The token is kept: two secrets cost one."""
    bench.fetch(NAME)
    bench.fetch({"gcp_secrets": "globex-openai"})
    assert (1, 2) == (google.tokens, len(google.paths))


def test_a_revoked_token_is_replaced(bench: Bench, google: SecretManager) -> None:
    """A read that is refused for its token is repeated with a new one."""
    bench.fetch(NAME)
    google.revoked.add("Bearer token-1")
    assert PLANTED == bench.value(NAME)
    assert 2 == google.tokens


@pytest.mark.parametrize(
    ("status", "code", "failure"),
    [
        (404, "NOT_FOUND", Failure.ABSENT),
        (400, "FAILED_PRECONDITION", Failure.DENIED),
        (401, "UNAUTHENTICATED", Failure.DENIED),
        (403, "PERMISSION_DENIED", Failure.DENIED),
        (429, "RESOURCE_EXHAUSTED", Failure.TRANSIENT),
        (503, "UNAVAILABLE", Failure.TRANSIENT),
    ],
)
def test_a_refusal_is_known_by_its_status(
    bench: Bench,
    google: SecretManager,
    shown: Callable[[BaseException, str], bool],
    status: int,
    code: str,
    failure: Failure,
) -> None:
    """An error carries Google's code, the status and the secret's address, not the text."""
    google.refuse(status, code)
    error = bench.error(NAME)
    expected = f"{google.url}/v1/{WHERE}/versions/latest:access: {code} (status {status})"
    assert (failure, expected) == (error.failure, str(error))
    assert not shown(error, PLANTED)


def test_a_busy_service_is_asked_again_when_it_says(bench: Bench, google: SecretManager) -> None:
    """The Retry-After of a 429 is kept, after a single attempt."""
    google.refuse(429, "RESOURCE_EXHAUSTED", retry_after="7")
    error = bench.error(NAME)
    assert (Failure.TRANSIENT, 7.0) == (error.failure, error.retry_after)
    assert 1 == len(google.paths)


def test_a_redirect_is_not_followed(bench: Bench, google: SecretManager) -> None:
    """A token goes where the configuration says, whatever the reply says."""
    google.refuse(307, location="/v1/elsewhere")
    error = bench.error(NAME)
    assert Failure.TRANSIENT is error.failure
    assert str(error).endswith(":access: refused (status 307)")
    assert [f"{WHERE}/versions/latest:access"] == google.paths


@pytest.mark.parametrize("body", ["<html>", "{}", "[]", '{"payload": {"data": "~"}, "name": "a"}'])
def test_a_reply_that_is_no_secret_is_transient(
    bench: Bench, google: SecretManager, body: str
) -> None:
    """What something in between answers is taken to pass."""
    google.answers["secret"] = (200, body)
    error = bench.error(NAME)
    assert Failure.TRANSIENT is error.failure
    assert str(error).startswith(f"{WHERE}: ")


def test_bytes_that_are_no_text_are_denied(bench: Bench, google: SecretManager) -> None:
    """A binary secret does not become a text by asking again."""
    google.answers["secret"] = (200, payload(b"\xff\xfe"))
    error = bench.error(NAME)
    assert (Failure.DENIED, f"{WHERE}: UnicodeDecodeError") == (error.failure, error.reason)


def test_a_service_that_is_down_is_transient(bench: Bench, google: SecretManager) -> None:
    """With the port closed after a login the error names the kind of failure and the secret."""
    bench.fetch(NAME)
    google.stop()
    error = bench.error(NAME)
    assert (Failure.TRANSIENT, f"{WHERE}: ConnectionError") == (error.failure, error.reason)


# -- logins ---------------------------------------------------------------------------------------


def test_a_refused_login_is_denied(
    bench: Bench, google: SecretManager, shown: Callable[[BaseException, str], bool]
) -> None:
    """The error has the token endpoint's code, and no text of it."""
    google.refuse(400, "invalid_grant", "token")
    error = bench.error(NAME)
    assert (Failure.DENIED, f"{WHERE}: RefreshError invalid_grant") == (error.failure, error.reason)
    assert not shown(error, PLANTED)


def test_a_busy_login_is_asked_once(bench: Bench, google: SecretManager) -> None:
    """google-auth does not pause and repeat; when to ask again is kept."""
    google.refuse(503, "unavailable", "token", retry_after="9")
    error = bench.error(NAME)
    assert (Failure.TRANSIENT, 9.0) == (error.failure, error.retry_after)
    assert f"{google.url}/token: refused (status 503)" == str(error)
    assert 1 == google.tokens


def test_a_login_that_is_down_is_transient(bench: Bench, google: SecretManager) -> None:
    """A token endpoint that cannot be reached is nobody's denial."""
    google.stop()
    error = bench.error(NAME)
    assert (Failure.TRANSIENT, f"{WHERE}: TransportError") == (error.failure, error.reason)


def test_a_login_that_may_be_repeated_is_transient(bench: Bench, google: SecretManager) -> None:
    """What google-auth itself calls retryable is no denial."""
    bench.fetch(NAME)
    source = source_of(bench)

    def busy(*_: Any, **__: Any) -> None:
        raise source._auth.exceptions.RefreshError("busy", retryable=True)

    source._http.credentials.before_request = busy
    assert Failure.TRANSIENT is bench.error(NAME).failure


def test_a_replaced_key_file_is_read_again(
    bench: Bench, google: SecretManager, account: Path
) -> None:
    """After a refused login the next fetch uses what the file holds by then."""
    usual = account.read_text()
    account.write_text(usual.replace("client_email", "nobody"))
    error = bench.error(NAME)
    assert (Failure.DENIED, f"{WHERE}: MalformedError") == (error.failure, error.reason)
    account.write_text(usual)
    google.refuse(400, "invalid_grant", "token")
    bench.error(NAME)
    account.write_text(usual.replace("tenantry@", "renewed@"))
    del google.answers["token"]
    assert PLANTED == bench.value(NAME)
    email = source_of(bench)._http.credentials.service_account_email
    assert "renewed@contoso.iam.gserviceaccount.com" == email


@pytest.mark.parametrize("text", ["", "{"])
def test_a_half_written_key_file_passes(bench: Bench, account: Path, text: str) -> None:
    """What is no JSON, or not there, may be there soon."""
    account.write_text(text)
    assert Failure.TRANSIENT is bench.error(NAME).failure
    account.unlink()
    error = bench.error(NAME)
    assert (Failure.TRANSIENT, f"{WHERE}: FileNotFoundError") == (error.failure, error.reason)


def test_the_default_login_is_used(
    opened: Callable[..., Bench],
    said: dict[str, Any],
    account: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a file it is what GOOGLE_APPLICATION_CREDENTIALS names."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account))
    del said["credentials_file"]
    assert PLANTED == opened({"gcp_secrets": said}).value(NAME)


def test_no_default_login_is_denied(opened: Callable[..., Bench], said: dict[str, Any]) -> None:
    """Where google-auth finds no login, the login is what is wrong."""
    del said["credentials_file"]
    error = opened({"gcp_secrets": said}).error(NAME)
    assert (Failure.DENIED, f"{WHERE}: DefaultCredentialsError") == (error.failure, error.reason)


def test_no_session_heeds_the_environment(bench: Bench) -> None:
    """Neither the requests nor the logins take a proxy or a password from outside."""
    bench.fetch(NAME)
    http = source_of(bench)._http
    assert (False, False) == (http.trust_env, http._auth_request.session.trust_env)


def test_google_auths_own_log_shows_nothing(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At DEBUG neither the secret nor the token is logged."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "google")
    monkeypatch.setattr(logging.getLogger("google"), "propagate", True)
    bench.fetch(NAME)
    assert "google.auth.transport.requests" in {record.name for record in caplog.records}
    records = " ".join(str(vars(record)) for record in caplog.records)
    encoded = base64.b64encode(PLANTED.encode()).decode()
    assert [] == [secret for secret in (PLANTED, encoded, "token-1") if secret in records]


# -- lifetimes ------------------------------------------------------------------------------------


def test_the_parents_connections_are_left_alone(bench: Bench) -> None:
    """After a fork the source opens its own, and neither uses nor closes those it inherited."""
    bench.fetch(NAME)
    source = source_of(bench)
    before = source._http
    source.after_fork()
    assert PLANTED == bench.value(NAME)
    assert ([before], False) == (source._inherited, source._http is before)


def test_a_missing_package_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without google-auth, opening the source tells what to install."""
    monkeypatch.setitem(sys.modules, "google.auth.transport", None)
    with pytest.raises(MissingExtraError) as caught:
        bench.fetch(NAME)
    expected = "Google's secrets need more packages: pip install 'tenantry[gcp]'"
    assert expected == str(caught.value)


def test_a_source_that_was_not_used_is_closed(bench: Bench) -> None:
    """Closing before the first fetch closes nothing, and is no error."""
    source = source_of(bench)
    source.close()
    assert source._http is None
