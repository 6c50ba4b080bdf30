"""What the registry knows of one tenant, and that it holds no secret."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from tenantry import ClientRegistry, UnknownTenantError
from tenantry.credential import CredentialStatus
from tenantry.freshness import Freshness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenantry.testing import OpenAIServer

KEY = "sk-acme-0123456789"


@pytest.fixture
def registry(openai_server: OpenAIServer) -> Iterator[ClientRegistry]:
    openai_server.allow(KEY)
    said: dict[str, Any] = {"base_url": openai_server.base_url, "api_key": SecretStr(KEY)}
    azure = {"provider": "azure", "azure_endpoint": openai_server.url, "api_version": "2024-10-21"}
    config = {
        "tenants": {
            "acme": {**said, "endpoints": {"eu": {"base_url": openai_server.base_url}}},
            "globex": {**azure, "enabled": False, "api_key": SecretStr(KEY)},
            "initech": {"api_key": SecretStr(KEY), "timeout": "soon"},
        }
    }
    with ClientRegistry.open(config, environ={}) as opened:
        yield opened


def test_a_tenant_that_nobody_asked_for_has_no_clients(registry: ClientRegistry) -> None:
    """Its settings are known, and each credential, without a fetch."""
    status = registry.status("acme")
    assert ("acme", "openai", True, ()) == (
        *(status.name, status.provider, status.enabled),
        status.problems,
    )
    assert ((), (), 0) == (status.clients, status.superseded, status.in_flight)
    assert ["api_key"] == [each.setting for each in status.credentials]


def test_clients_are_known_from_their_building_to_their_last_holder(
    registry: ClientRegistry,
) -> None:
    """Those of endpoints too; evicted ones are `superseded` while somebody holds them."""
    held = [registry.client("acme"), registry.client("acme", endpoint="eu", timeout=5)]
    registry.async_client("acme")
    status = registry.status("acme")
    assert ["SealedAsyncOpenAI", "SealedOpenAI", "SealedOpenAI"] == sorted(status.clients)
    registry.evict("acme")
    registry.client("acme").models.list()
    gc.collect()
    status = registry.status("acme")
    assert (("SealedOpenAI",), ("sync", "sync")) == (status.clients, status.superseded)
    held.clear()
    gc.collect()
    assert () == registry.status("acme").superseded


def test_a_disabled_tenant_has_its_address(registry: ClientRegistry) -> None:
    """An Azure tenant's is its `azure_endpoint`."""
    status = registry.status("globex")
    assert ("azure", False) == (status.provider, status.enabled)
    assert status.base_url.startswith("http://127.0.0.1:")


def test_a_tenant_in_quarantine_has_its_problems(registry: ClientRegistry) -> None:
    """One that never was right has nothing else."""
    status = registry.status("initech")
    assert ("initech", "", "", ()) == (
        *(status.name, status.provider, status.base_url),
        status.credentials,
    )
    assert ["tenants.initech.timeout"] == [problem.path for problem in status.problems]


def test_nobody_of_that_name(registry: ClientRegistry) -> None:
    """A name that no tenant has is an error."""
    with pytest.raises(UnknownTenantError):
        registry.status("umbrella")


def test_no_secret_is_shown(registry: ClientRegistry) -> None:
    """Neither by a status nor by its credentials, once they are held."""
    registry.client("acme").models.list()
    assert KEY not in repr([registry.status(name) for name in registry.tenants])


def test_a_status_leaves_nothing_behind() -> None:
    """Who is asked about is not in use for that; whose secret was wanted is."""
    tenants = {name: {"api_key": SecretStr(KEY)} for name in ("acme", "globex")}
    config = {"registry": {"warm": "none"}, "tenants": tenants}
    with ClientRegistry.open(config, environ={}) as registry:
        [unasked] = registry.status("acme").credentials
        assert CredentialStatus("api_key", unasked.reference, source="literal") == unasked
        assert (Freshness.EXPIRED, []) == (unasked.freshness, registry.names_in_use())
        registry.refresh("acme")
        assert ["acme"] == registry.names_in_use()
        assert Freshness.FRESH == registry.status("acme").credentials[0].freshness
