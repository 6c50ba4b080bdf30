"""How azure-identity tells a refusal, an outage and throttling apart, if at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import ServiceRequestError, ServiceResponseTimeoutError
from azure.identity import CredentialUnavailableError, ManagedIdentityCredential
from requests.exceptions import SSLError
from tests.testing.entra.azure_facts.conftest import SCOPE, error_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.identity import ClientAssertionCredential, ClientSecretCredential

    from tenantry.testing.entra import EntraServer

TRANSIENT = "AADSTS90033: A transient error has occurred."


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
