"""What azure-identity does, as far as tenantry builds on it."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    ServiceRequestError,
    ServiceResponseTimeoutError,
)
from azure.identity import (
    ClientAssertionCredential,
    ClientSecretCredential,
    CredentialUnavailableError,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
    get_bearer_token_provider,
)
from requests.exceptions import SSLError

from tenantry.testing.entra import EntraServer

SCOPE = "https://cognitiveservices.azure.com/.default"
OTHER_SCOPE = "https://vault.azure.net/.default"
TRANSIENT = "AADSTS90033: A transient error has occurred."


@pytest.fixture
def server(server: EntraServer) -> EntraServer:
    server.register_app("app", secret="hunter2", federated_token="first")
    return server


@pytest.fixture
def by_secret(server: EntraServer, fast: dict[str, Any]) -> Callable[..., ClientSecretCredential]:
    """Return a maker of credentials that go through msal."""

    def make(secret: str = "hunter2", **options: Any) -> ClientSecretCredential:
        directory_id = options.pop("directory_id", server.directory_id)
        return ClientSecretCredential(directory_id, "app", secret, **(fast | options))

    return make


@pytest.fixture
def by_assertion(
    server: EntraServer, fast: dict[str, Any]
) -> Callable[..., ClientAssertionCredential]:
    """Return a maker of credentials that do without msal, as workload identity does."""

    def make(read: Callable[[], str] = lambda: "first", **options: Any) -> Any:
        return ClientAssertionCredential(server.directory_id, "app", read, **(fast | options))

    return make


def error_of(credential: Any) -> ClientAuthenticationError:
    with credential, pytest.raises(ClientAuthenticationError) as failed:
        credential.get_token_info(SCOPE)
    return failed.value


# -- errors of credentials that go through msal: client secret, certificate -----------------------


def test_refusal_has_a_code_and_no_cause(by_secret: Callable[..., ClientSecretCredential]) -> None:
    """A wrong secret is told by the AADSTS code in the message: no response, no cause."""
    error = error_of(by_secret("wrong"))
    assert (None, None) == (error.response, error.__cause__)
    assert "AADSTS7000215" in error.message


def test_network_error_is_the_cause(
    server: EntraServer, by_secret: Callable[..., ClientSecretCredential]
) -> None:
    """An authority that nobody can connect to is told by the cause: no response."""
    server.outage(True, refuse=True)
    error = error_of(by_secret())
    assert (None, ServiceRequestError) == (error.response, type(error.__cause__))


def test_bad_tls_is_a_network_error_inside(
    by_secret: Callable[..., ClientSecretCredential],
) -> None:
    """A certificate that is not trusted is told from a dead network by the cause's inner error."""
    error = error_of(by_secret(connection_verify=True))
    assert (None, ServiceRequestError) == (error.response, type(error.__cause__))
    assert isinstance(error.__cause__, ServiceRequestError)
    assert isinstance(error.__cause__.inner_exception, SSLError)


def test_timeout_is_the_cause(
    server: EntraServer, by_secret: Callable[..., ClientSecretCredential]
) -> None:
    """An authority that does not answer in time is told by the cause."""
    server.slow(60, times=1)
    error = error_of(by_secret(read_timeout=0.1))
    assert (None, ServiceResponseTimeoutError) == (error.response, type(error.__cause__))


@pytest.mark.parametrize("kind", ["discovery", "token"])
@pytest.mark.parametrize("text", [None, TRANSIENT])
def test_server_error_has_msals_cause_and_loses_its_code(
    server: EntraServer,
    by_secret: Callable[..., ClientSecretCredential],
    kind: Any,
    text: str | None,
) -> None:
    """A 503 is told by msal's error with the status in its text; an AADSTS code is lost."""
    server.fail_next(503, error=text, kind=kind)
    error = error_of(by_secret())
    expected = (None, "MsalServiceError", "HTTP Error: 503")
    assert expected == (error.response, type(error.__cause__).__name__, str(error.__cause__))


def test_throttling_is_told_by_its_code_only(
    server: EntraServer, by_secret: Callable[..., ClientSecretCredential]
) -> None:
    """A 429 of the token endpoint looks like a refusal: the status and Retry-After are lost."""
    server.fail_next(429, error="AADSTS90055: throttled", retry_after=7, kind="token")
    error = error_of(by_secret())
    assert (None, None) == (error.response, error.__cause__)
    assert "AADSTS90055" in error.message


def test_throttling_by_a_gateway_is_a_json_error(
    server: EntraServer, by_secret: Callable[..., ClientSecretCredential]
) -> None:
    """A 429 with an HTML page becomes an error about JSON."""
    server.fail_next(429, kind="token")
    assert "JSONDecodeError" == type(error_of(by_secret()).__cause__).__name__


def test_unknown_directory_hides_its_code(
    by_secret: Callable[..., ClientSecretCredential],
) -> None:
    """AADSTS90002 is not in the message of the error or its cause, only in the cause's context."""
    error = error_of(by_secret(directory_id="unknown"))
    cause = error.__cause__
    assert isinstance(cause, ValueError)
    assert "AADSTS90002" not in f"{error.message} {cause}"
    assert "AADSTS90002" in str(cause.__context__)


def test_throttled_discovery_looks_like_an_unknown_directory(
    server: EntraServer, by_secret: Callable[..., ClientSecretCredential]
) -> None:
    """A 429 at discovery differs from an unknown directory in the context of the cause alone."""
    server.fail_next(429, kind="discovery")
    error = error_of(by_secret())
    cause = error.__cause__
    assert isinstance(cause, ValueError)
    assert "Unable to get authority configuration" in str(cause)
    assert "HTTP status: 429" in str(cause.__context__)


# -- errors of credentials without msal: client assertion, workload identity ----------------------


def test_assertion_refusal_has_a_response(
    by_assertion: Callable[..., ClientAssertionCredential],
) -> None:
    """A refused assertion comes with the response, and the code is in the message too."""
    error = error_of(by_assertion(lambda: "wrong"))
    assert 401 == error.status_code
    assert error.response is not None
    assert "AADSTS700213" in error.message


def test_assertion_server_error_has_a_response_if_it_is_entras(
    server: EntraServer, by_assertion: Callable[..., ClientAssertionCredential]
) -> None:
    """A 503 in Entra's form has a response, one by a gateway has neither response nor cause."""
    server.fail_next(503, error=TRANSIENT)
    assert 503 == error_of(by_assertion()).status_code
    server.fail_next(503)
    error = error_of(by_assertion())
    assert (None, None) == (error.response, error.__cause__)


def test_assertion_network_error_is_not_an_authentication_error(
    server: EntraServer, by_assertion: Callable[..., ClientAssertionCredential]
) -> None:
    """Dead network, bad TLS and timeouts are azure-core's own errors, bare."""
    with (
        by_assertion(connection_verify=True) as credential,
        pytest.raises(ServiceRequestError) as untrusted,
    ):
        credential.get_token_info(SCOPE)
    assert isinstance(untrusted.value.inner_exception, SSLError)
    server.slow(60, times=1)
    with (
        by_assertion(read_timeout=0.1) as credential,
        pytest.raises(ServiceResponseTimeoutError),
    ):
        credential.get_token_info(SCOPE)
    server.outage(True, refuse=True)
    with by_assertion() as credential, pytest.raises(ServiceRequestError):
        credential.get_token_info(SCOPE)


# -- errors of managed identity -------------------------------------------------------------------


def breakages(server: EntraServer) -> tuple[Callable[[], None], ...]:
    """Return no identity, which is how the server starts, a gateway's 503 and a dead network."""
    return (
        lambda: None,
        lambda: server.fail_next(503),
        lambda: server.outage(True, refuse=True),
    )


def test_imds_is_unavailable_whatever_happens(
    server: EntraServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At IMDS a missing identity, a 503 and a dead network all mean unavailable."""
    for name, value in server.environment("imds").items():
        monkeypatch.setenv(name, value)
    causes: list[str] = []
    for break_it in breakages(server):
        break_it()
        error = error_of(ManagedIdentityCredential(retry_total=0))
        assert isinstance(error, CredentialUnavailableError)
        causes.append(type(error.__cause__).__name__)
    assert ["NoneType", "JSONDecodeError", "ServiceRequestError"] == causes


def test_app_service_errors_are_of_three_families(
    server: EntraServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At App Service they are unavailable, a bare JSON error and azure-core's own error."""
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    families: list[str] = []
    for break_it in breakages(server):
        break_it()
        with ManagedIdentityCredential(retry_total=0) as credential:
            with pytest.raises(Exception, match=r".") as failed:
                credential.get_token_info(SCOPE)
            families.append(failed.type.__name__)
    assert ["CredentialUnavailableError", "JSONDecodeError", "ServiceRequestError"] == families


# -- refreshing -----------------------------------------------------------------------------------


def test_one_credential_asks_once(
    server: EntraServer, by_secret: Callable[..., ClientSecretCredential]
) -> None:
    """A credential gives out the token that it has."""
    with by_secret() as credential:
        assert credential.get_token_info(SCOPE).token == credential.get_token_info(SCOPE).token
    assert 1 == server.count("token")


def test_fresh_credential_asks_again(
    server: EntraServer, by_secret: Callable[..., ClientSecretCredential]
) -> None:
    """A new instance per refresh asks the authority each time, by msal with a discovery before."""
    tokens: set[str] = set()
    for _ in range(2):
        with by_secret() as credential:
            tokens.add(credential.get_token_info(SCOPE).token)
    assert {token.value for token in server.issued} == tokens
    assert (2, 2) == (server.count("discovery"), server.count("token"))


def test_assertion_credential_needs_no_discovery(
    server: EntraServer, by_assertion: Callable[..., ClientAssertionCredential]
) -> None:
    """Without msal a fresh credential makes one request."""
    with by_assertion() as credential:
        credential.get_token_info(SCOPE)
    assert ["token"] == [request.kind for request in server.requests]


def test_failed_credential_does_not_ask_again(
    server: EntraServer, by_secret: Callable[..., ClientSecretCredential]
) -> None:
    """A 503 is repeated by msal from memory for 5 s: only a fresh credential sees the recovery."""
    server.fail_next(503, kind="token")
    with by_secret() as credential:
        for _ in range(2):
            with pytest.raises(ClientAuthenticationError, match="HTTP Error: 503"):
                credential.get_token_info(SCOPE)
    assert 1 == server.count("token")
    with by_secret() as credential:
        credential.get_token_info(SCOPE)
    assert 2 == server.count("token")


def test_token_info_has_both_times(
    server: EntraServer, by_secret: Callable[..., ClientSecretCredential]
) -> None:
    """`get_token_info` tells when a token expires and when to refresh it, in Unix seconds."""
    server.token_lifetime, server.refresh_in = 4000, 1000
    before = int(time.time())
    with by_secret() as credential:
        token = credential.get_token_info(SCOPE)
    assert token.refresh_on is not None
    assert before + 4000 <= token.expires_on <= time.time() + 4000
    assert before + 1000 <= token.refresh_on <= time.time() + 1000


def test_refresh_time_is_none_if_not_told(
    by_secret: Callable[..., ClientSecretCredential],
) -> None:
    """A token of an hour has no time of refresh unless the authority sends one."""
    with by_secret() as credential:
        assert credential.get_token_info(SCOPE).refresh_on is None


# -- workload identity's token file ---------------------------------------------------------------


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("first")
    return file


@pytest.fixture
def workload(
    server: EntraServer, fast: dict[str, Any], token_file: Path
) -> Callable[[], WorkloadIdentityCredential]:
    def make() -> WorkloadIdentityCredential:
        return WorkloadIdentityCredential(
            tenant_id=server.directory_id,
            client_id="app",
            token_file_path=str(token_file),
            **fast,
        )

    return make


def rotate(server: EntraServer, token_file: Path) -> None:
    token_file.write_text("second")
    server.register_app("app", federated_token="second")


def test_workload_identity_does_not_see_a_changed_file(
    server: EntraServer,
    workload: Callable[[], WorkloadIdentityCredential],
    token_file: Path,
) -> None:
    """WorkloadIdentityCredential sends what it read until the reading is older than 600 s."""
    credential = workload()
    with credential:
        credential.get_token_info(SCOPE)
        rotate(server, token_file)
        with pytest.raises(ClientAuthenticationError, match="AADSTS700213"):
            credential.get_token_info(OTHER_SCOPE)
        credential._last_read_time -= 601
        credential.get_token_info(OTHER_SCOPE)
    assert [SCOPE, OTHER_SCOPE] == [token.scope for token in server.issued]


def test_fresh_workload_identity_reads_the_file(
    server: EntraServer,
    workload: Callable[[], WorkloadIdentityCredential],
    token_file: Path,
) -> None:
    """A new WorkloadIdentityCredential reads the file, however recent the last reading."""
    with workload() as credential:
        credential.get_token_info(SCOPE)
    rotate(server, token_file)
    with workload() as credential:
        credential.get_token_info(SCOPE)
    assert 2 == len(server.issued)


def test_client_assertion_sees_a_changed_file(
    server: EntraServer,
    by_assertion: Callable[..., ClientAssertionCredential],
    token_file: Path,
) -> None:
    """ClientAssertionCredential reads the file at every token request."""
    with by_assertion(token_file.read_text) as credential:
        credential.get_token_info(SCOPE)
        rotate(server, token_file)
        credential.get_token_info(OTHER_SCOPE)
    assert [SCOPE, OTHER_SCOPE] == [token.scope for token in server.issued]


# -- what makes credentials fast ------------------------------------------------------------------


@pytest.mark.parametrize(("retry_total", "expected"), [(0, 1), (2, 3)])
def test_retries_are_azure_cores(
    server: EntraServer,
    by_assertion: Callable[..., ClientAssertionCredential],
    retry_total: int,
    expected: int,
) -> None:
    """With `retry_total=0` a failing authority is asked once, otherwise that much oftener."""
    server.outage(True)
    error_of(by_assertion(retry_total=retry_total, retry_backoff_factor=0))
    assert expected == server.count("token")


def test_instance_discovery_asks_microsoft(
    server: EntraServer, by_secret: Callable[..., ClientSecretCredential]
) -> None:
    """Unless instance discovery is disabled, Microsoft is asked about the authority first."""
    asked: list[str] = []

    def stop(request: Any) -> None:
        asked.append(request.http_request.url)
        message = "no network in tests"
        raise ServiceRequestError(message)

    error_of(by_secret(disable_instance_discovery=False, raw_request_hook=stop))
    assert asked[0].startswith("https://login.microsoftonline.com/common/discovery/instance")
    assert () == server.requests


# -- what we do better ----------------------------------------------------------------------------


def test_sync_callers_share_no_flight(
    server: EntraServer, by_secret: Callable[..., ClientSecretCredential]
) -> None:
    """Forty threads that find no token make forty requests, where one would do."""
    credential = by_secret()
    together = threading.Barrier(40)
    server.slow(0.5)

    def ask() -> str:
        together.wait(30)
        return credential.get_token(SCOPE).token

    with ThreadPoolExecutor(40) as threads:
        tokens = {each.result(60) for each in [threads.submit(ask) for _ in range(40)]}
    assert 40 == len(tokens)


def test_an_outage_fails_calls_that_a_valid_token_could_serve(
    server: EntraServer, by_secret: Callable[..., ClientSecretCredential]
) -> None:
    """In a token's last five minutes every call asks for a new one, and fails with the issuer."""
    server.token_lifetime = 200
    provider = get_bearer_token_provider(by_secret(), SCOPE)
    provider()
    server.outage(True)
    for _ in range(3):
        with pytest.raises(ClientAuthenticationError):
            provider()
