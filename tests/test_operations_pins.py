"""An operator lets one version of a tenant's credential serve for a while."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from openai import AuthenticationError

from tenantry import ClientRegistry, OptionNotAllowedError, SourceError
from tenantry.events import CredentialPinned, CredentialUnpinned, Event
from tenantry.testing import VaultServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

    from tenantry.testing import OpenAIServer

KEYS = ("sk-planted-0123456789", "sk-planted-9876543210")


@pytest.fixture
def vault() -> Iterator[VaultServer]:
    with VaultServer() as server:
        for key in KEYS:
            server.put("acme", {"api_key": key, "webhook_secret": "whsec_MDEyMzQ1Njc4OQ=="})
        yield server


@pytest.fixture
def registry(vault: VaultServer, openai_server: OpenAIServer) -> Iterator[ClientRegistry]:
    for key in KEYS:
        openai_server.allow(key)
    config: dict[str, Any] = {
        "sources": {"vault": {"address": vault.url, "auth": {"token": {"env": "TOKEN"}}}},
        "defaults": {"base_url": openai_server.base_url, "max_retries": 0},
        "tenants": {
            "acme": {"api_key": {"vault": "acme"}, "webhook_secret": {"env": "HOOK"}},
            "globex": {"api_key": {"vault": {"path": "acme", "engine": "kv1"}}},
            "initech": {"api_key": {"env": "KEY"}},
        },
    }
    environ = {"TOKEN": vault.root_token, "HOOK": "whsec_MDEyMzQ1Njc4OQ==", "KEY": KEYS[0]}
    with ClientRegistry.open(config, environ=environ) as opened:
        yield opened


def sent(openai_server: OpenAIServer, registry: ClientRegistry) -> str:
    """Send a request for acme, and return the key that it came with."""
    registry.client("acme").models.list()
    return dict(openai_server.requests[-1].headers)["authorization"].removeprefix("Bearer ")


def test_requests_carry_the_pinned_version(
    registry: ClientRegistry, openai_server: OpenAIServer
) -> None:
    """Those of clients that were handed out before, until it is unpinned."""
    assert KEYS[1] == sent(openai_server, registry)
    registry.pin("acme", "1", seconds=3600)
    assert KEYS[0] == sent(openai_server, registry)
    registry.refresh("acme")
    assert KEYS[0] == sent(openai_server, registry)
    assert [True, False] == [registry.unpin("acme") for _ in range(2)]
    assert KEYS[1] == sent(openai_server, registry)


def test_a_401_is_the_callers(registry: ClientRegistry, openai_server: OpenAIServer) -> None:
    """A pinned version that the service refuses is not replaced by another one."""
    asyncio.run(registry.apin("acme", "1", seconds=3600))
    openai_server.revoke(KEYS[0])
    before = len(openai_server.requests)
    with pytest.raises(AuthenticationError):
        registry.client("acme").models.list()
    assert 1 == len(openai_server.requests) - before


def test_a_pin_is_loud(registry: ClientRegistry, caplog: pytest.LogCaptureFixture) -> None:
    """The log, the status and the events tell of it, and none of them tells the key."""
    heard: list[Event] = []
    registry.subscribe(heard.append)
    with caplog.at_level(logging.WARNING, "tenantry"):
        registry.pin("acme", "1", seconds=3600)
        [status, _] = registry.status("acme").credentials
        registry.unpin("acme")
        registry.close()
    assert ["1", "vault"] == [status.version, status.source]
    assert status.pinned_for == pytest.approx(3600, abs=60)
    said = [message.split()[0] for message in caplog.messages]
    assert ["credential_pinned", "credential_unpinned"] == said
    pins = [each for each in heard if isinstance(each, (CredentialPinned, CredentialUnpinned))]
    assert [CredentialPinned, CredentialUnpinned] == [type(each) for each in pins]
    assert [("acme", "vault", "1")] * 2 == [(e.tenant, e.source, e.version) for e in pins]
    assert all(key not in f"{heard}{caplog.text}{status}" for key in KEYS)


@pytest.mark.parametrize(
    ("tenant", "version", "reason"),
    [
        ("acme", "9", "there is no such secret"),
        ("acme", "six", "'six' cannot be a version of acme"),
        ("acme", "0", "'0' cannot be a version of acme"),
        ("initech", "1", "it has no versions to ask for"),
    ],
)
def test_a_version_that_cannot_be_had_changes_nothing(
    registry: ClientRegistry, tenant: str, version: str, reason: str
) -> None:
    """It is told why, and what served serves."""
    registry.refresh(tenant)
    before = registry.status(tenant).credentials[0]
    with pytest.raises(SourceError, match=reason):
        registry.pin(tenant, version, seconds=60)
    after = registry.status(tenant).credentials[0]
    assert (before.fingerprint, None, "") == (
        after.fingerprint,
        after.pinned_for,
        after.last_error,
    )


@pytest.mark.parametrize("pin", [ClientRegistry.pin, ClientRegistry.apin])
def test_a_source_that_hangs_is_not_waited_for(
    vault: VaultServer, registry: ClientRegistry, pin: Any
) -> None:
    """No longer than anybody waits for a secret."""
    registry.refresh("acme")
    for credential in registry._documents("acme"):
        credential.keeper.obey(replace(credential.keeper.policy, wait=0.05))
    vault.slow(1.0, path="secret/data/acme")
    with pytest.raises(SourceError, match=r"no answer within 0\.05 s"):
        asyncio.run(_done(pin(registry, "acme", "1", seconds=60)))
    assert registry.status("acme").credentials[0].pinned_for is None


async def _done(pinning: Awaitable[None] | None) -> None:
    if pinning is not None:
        await pinning


def test_what_is_pinned_is_one_of_the_tenants_credentials(registry: ClientRegistry) -> None:
    """One that it has, and for a time that ends."""
    with pytest.raises(OptionNotAllowedError, match="allowed are: api_key, webhook_secret"):
        registry.pin("acme", "1", seconds=60, setting="admin_api_key")
    for seconds in (0, -1, 604_801, float("nan"), float("inf")):
        with pytest.raises(OptionNotAllowedError, match="a pin ends by itself"):
            registry.pin("acme", "1", seconds=seconds)
    with pytest.raises(SourceError, match="no versions"):
        registry.pin("acme", "1", seconds=60, setting="webhook_secret")
