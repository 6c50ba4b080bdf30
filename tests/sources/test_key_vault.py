"""Secrets of Azure Key Vault, through a real login to an embedded Entra ID."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tenantry.errors import Failure
from tenantry.sources.key_vault import KeyVaultSource
from tenantry.sources.session import BELIEVED
from tenantry.testing import EntraServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.sources.conftest import Bench

NAME: dict[str, Any] = {"key_vault": "acme-openai"}


@pytest.fixture
def entra() -> Iterator[EntraServer]:
    with EntraServer() as server:
        server.register_app("app", secret="client-secret")
        yield server


@pytest.fixture
def said(entra: EntraServer) -> dict[str, Any]:
    login = {
        "directory_id": entra.directory_id,
        "client_id": "app",
        "client_secret": {"env": "SECRET"},
    }
    return {
        "vault_url": entra.vault_url,
        "authority": entra.authority,
        "tls": {"ca": str(entra.ca_file)},
        "auth": {"client_secret": login},
    }


@pytest.fixture
def bench(opened: Callable[..., Bench], said: dict[str, Any]) -> Bench:
    return opened({"key_vault": said}, {"SECRET": "client-secret"})


def source_of(bench: Bench) -> KeyVaultSource:
    source = bench.secrets._source("key_vault").opened()
    assert isinstance(source, KeyVaultSource)
    return source


def test_the_latest_version_is_read(bench: Bench, entra: EntraServer) -> None:
    """Without a version it is the newest value, and the document knows its version."""
    entra.set_secret("acme-openai", "key-1")
    version = entra.set_secret("acme-openai", "key-2")
    document = bench.fetch(NAME)
    assert "key-2" == document.secret(None, "api_key").reveal()
    assert version == document.version


def test_a_version_is_pinned(bench: Bench, entra: EntraServer) -> None:
    """A reference may name a version, whatever came after it."""
    version = entra.set_secret("acme-openai", "key-1")
    entra.set_secret("acme-openai", "key-2")
    assert "key-1" == bench.value({"key_vault": {"name": "acme-openai", "version": version}})


def test_one_login_serves_many_reads(bench: Bench, entra: EntraServer) -> None:
    """The token is kept: two secrets cost one token."""
    entra.set_secret("acme-openai", "key-1")
    entra.set_secret("globex-openai", "key-2")
    assert "key-1" == bench.value(NAME)
    assert "key-2" == bench.value({"key_vault": "globex-openai"})
    assert 1 == len(entra.issued)


def test_a_revoked_token_is_replaced(bench: Bench, entra: EntraServer) -> None:
    """A read that is refused logs in once and is repeated."""
    entra.set_secret("acme-openai", "key-1")
    bench.fetch(NAME)
    source = source_of(bench)
    source._session.keeper.clock = lambda: time.monotonic() + BELIEVED
    entra.revoke(entra.issued[-1])
    assert "key-1" == bench.value(NAME)
    assert 2 == len(entra.issued)


def test_an_absent_secret_is_said(bench: Bench) -> None:
    """A name that is not there is absent, with Key Vault's own code."""
    error = bench.error(NAME)
    assert Failure.ABSENT is error.failure
    assert "/secrets/acme-openai: SecretNotFound (status 404)" in str(error)


def test_a_disabled_secret_is_denied(bench: Bench, entra: EntraServer) -> None:
    """Key Vault refuses a disabled secret, and that of a young login is believed."""
    entra.set_secret("acme-openai", "key-1")
    entra.disable_secret("acme-openai")
    error = bench.error(NAME)
    assert Failure.DENIED is error.failure
    assert "key-1" not in str(error)
    assert 1 == len(entra.issued)


def test_a_busy_vault_is_asked_again_when_it_says(bench: Bench, entra: EntraServer) -> None:
    """A 429 passes, and its Retry-After is kept."""
    entra.fail_next(429, kind="key_vault", retry_after=7)
    error = bench.error(NAME)
    assert (Failure.TRANSIENT, 7.0) == (error.failure, error.retry_after)


def test_a_vault_that_cannot_be_reached_is_said(bench: Bench, entra: EntraServer) -> None:
    """With its ports closed the error names the address; with a login before, the secret's."""
    entra.set_secret("acme-openai", "key-1")
    bench.fetch(NAME)
    entra.outage(True, refuse=True)
    error = bench.error(NAME)
    assert Failure.TRANSIENT is error.failure
    assert f"{entra.vault_url.rstrip('/')}/secrets/acme-openai cannot be reached" in str(error)


def test_a_login_that_fails_is_said(
    opened: Callable[..., Bench], said: dict[str, Any], entra: EntraServer
) -> None:
    """Where Entra ID refuses the login, the error says so and names the vault."""
    error = opened({"key_vault": said}, {"SECRET": "wrong"}).error(NAME)
    assert Failure.DENIED is error.failure
    assert f"cannot log in to {entra.vault_url}" in str(error)
    assert "AADSTS7000215" in str(error)


def test_the_parents_connections_are_left_alone(bench: Bench, entra: EntraServer) -> None:
    """After a fork the source opens its own, and neither uses nor closes those it inherited."""
    entra.set_secret("acme-openai", "key-1")
    bench.fetch(NAME)
    source = source_of(bench)
    before = source._http
    source.after_fork()
    assert "key-1" == bench.value(NAME)
    assert ([before], False) == (source._inherited, source._http is before)
