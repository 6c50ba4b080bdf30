"""When azure-identity asks the authority, and how often."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from azure.identity import get_bearer_token_provider
from tests.testing.entra.azure_facts.conftest import SCOPE, error_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.identity import ClientAssertionCredential, ClientSecretCredential

    from tenantry.testing.entra import EntraServer


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
