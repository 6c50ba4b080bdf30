"""What operators ask of a registry: is every source ready?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tenantry import (
    ClientRegistry,
    CredentialUnavailableError,
    RegistryClosedError,
    TenantDisabledError,
    TenantQuarantinedError,
    UnknownTenantError,
)
from tenantry.testing import VaultServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def vault() -> Iterator[VaultServer]:
    with VaultServer() as server:
        server.put("acme", {"api_key": "sk-1"})
        yield server


def config(vault: VaultServer, **registry: Any) -> dict[str, Any]:
    source = {"address": vault.url, "auth": {"token": {"literal": vault.root_token}}}
    return {
        "registry": {"warm": "none", **registry},
        "sources": {
            "vault": source,
            "vault-us": {"type": "vault", **source},
            "unused": source | {"type": "vault"},
        },
        "tenants": {
            "off": {"enabled": False, "api_key": {"vault": "off"}},
            "acme": {"api_key": {"vault": "acme"}},
            "globex": {"api_key": {"vault-us": "nobody"}, "webhook_secret": {"env": "X"}},
            "broken": {"api_key": {"vault": "acme"}, "max_retries": "many"},
        },
    }


def reads(vault: VaultServer) -> list[str]:
    return [request.path for request in vault.requests if "/data/" in request.path]


async def test_each_source_is_asked_once(vault: VaultServer) -> None:
    """One secret of each source that a tenant uses is looked at; what is held is not asked for."""
    async with ClientRegistry.open(config(vault), environ={}) as registry:
        for _ in range(3):
            assert {"vault": None, "vault-us": None} == registry.ready()
            assert {"vault": None, "vault-us": None} == await registry.aready()
    assert "secret/data/acme" in reads(vault)
    assert 1 == reads(vault).count("secret/data/acme")


async def test_a_source_that_is_away_is_named(vault: VaultServer) -> None:
    """Its error says what failed."""
    async with ClientRegistry.open(config(vault), environ={}) as registry:
        vault.seal()
        found = await registry.aready()
        assert {"vault": CredentialUnavailableError, "vault-us": CredentialUnavailableError} == {
            name: type(error) for name, error in found.items()
        }
        assert found.keys() == registry.ready().keys()


async def test_a_source_that_was_ready_stays_so(vault: VaultServer) -> None:
    """A value that is held serves, so that an outage takes no process out of its service."""
    async with ClientRegistry.open(config(vault), environ={}) as registry:
        assert registry.ready()["vault"] is None
        vault.seal()
        assert (await registry.aready())["vault"] is None


def test_sources_are_warmed_at_open(vault: VaultServer) -> None:
    """`warm: sources` logs in and fetches one secret of each."""
    with ClientRegistry.open(config(vault, warm="sources"), environ={"X": "whsec"}):
        assert "secret/data/acme" in reads(vault)


def test_a_source_that_is_away_may_stop_the_process(vault: VaultServer) -> None:
    """With `on_problem: fail` a process starts with all of its sources, or not at all."""
    said = config(vault, warm="sources", on_problem="fail")
    del said["tenants"]["broken"]
    vault.seal()
    with pytest.raises(CredentialUnavailableError):
        ClientRegistry.open(said, environ={"X": "whsec"})


async def test_who_can_be_served_is_loaded(vault: VaultServer) -> None:
    """`aload` says what keeps a tenant from being served, before a client is asked for."""
    async with ClientRegistry.open(config(vault), environ={}) as registry:
        await registry.aload("acme")
        for name, error in (
            ("nobody", UnknownTenantError),
            ("off", TenantDisabledError),
            ("broken", TenantQuarantinedError),
        ):
            with pytest.raises(error):
                await registry.aload(name)
    for question in (registry.ready,):
        with pytest.raises(RegistryClosedError):
            question()
    for aquestion in (registry.aready(), registry.aload("acme")):
        with pytest.raises(RegistryClosedError):
            await aquestion
