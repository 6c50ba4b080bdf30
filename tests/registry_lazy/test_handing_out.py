"""A tenant is read when its client is first asked for, and only what `allow` names reaches it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from tests.registry_lazy.conftest import KEYS, asend, catalog_of, send

from tenantry import (
    TenantDisabledError,
    TenantNotLoadedError,
    TenantQuarantinedError,
    UnknownTenantError,
)

if TYPE_CHECKING:
    from tests.registry_lazy.conftest import Estate

    from tenantry import ClientRegistry


def test_opening_reads_nobody(registry: ClientRegistry) -> None:
    """A registry opens without a look at the tenants, and its first use of one reads that one."""
    assert [] == catalog_of(registry).loaded_names()
    assert "<ClientRegistry 0 tenants loaded>" == repr(registry)
    assert KEYS["KEY"] == send(registry.client("acme"))
    assert ["acme"] == catalog_of(registry).loaded_names()
    assert {"acme", "globex"} == set(registry.tenants)


async def test_async_clients_never_read(registry: ClientRegistry) -> None:
    """An async client is handed out once the tenant was loaded, and not before."""
    with pytest.raises(TenantNotLoadedError):
        registry.async_client("acme")
    await registry.aload("acme")
    await asend(registry.async_client("acme"))
    for name in ("nobody", "../acme"):
        with pytest.raises(UnknownTenantError):
            await registry.aload(name)


async def test_loading_a_disabled_tenant(estate: Estate, registry: ClientRegistry) -> None:
    """Loading says that a tenant is not served."""
    estate.put(acme={"enabled": False})
    with pytest.raises(TenantDisabledError):
        await registry.aload("acme")


async def test_many_load_one(registry: ClientRegistry) -> None:
    """Tasks that load one tenant at the same time all get it."""
    await asyncio.gather(*(registry.aload("acme") for _ in range(50)))
    assert ["acme"] == catalog_of(registry).loaded_names()


@pytest.mark.parametrize(
    "said",
    [
        {"api_key": {"env": "KEY_GLOBEX"}},
        {"api_key": {"vault": "tenants/globex"}},
        {"api_key": {"file": "/run/secrets/globex"}},
        {"api_key": {"command": ["cat", "/etc/passwd"]}},
        {"api_key": {"command": {"run": ["cat", "/etc/passwd"]}}},
        {"api_key": {"literal": "sk-planted"}},
        {"api_key": {"first_of": [{"env": "OTHER"}, {"file": "/run/secrets/globex"}]}},
        {"base_url": "https://attacker.example/v1"},
        {"default_headers": {"X-Leak": {"env": "KEY"}}},
        {"workload_identity": {"subject_token": {"file": "/var/run/secrets/token"}}},
        {"endpoints": {"eu": {"base_url": "https://attacker.example/v1"}}},
        {"proxy": {"url": "http://attacker.example:3128"}},
        {"tls": {"verify": False}},
        {"inherit_environment": True},
        {"organization": "${KEY}"},
    ],
)
def test_a_row_that_points_elsewhere(
    estate: Estate, registry: ClientRegistry, said: dict[str, Any]
) -> None:
    """What `allow` does not name is refused: nothing is read, nothing is sent, nothing is told."""
    estate.put(acme=said)
    with pytest.raises(TenantQuarantinedError) as caught:
        registry.client("acme")
    assert "sqlite:tenants/acme" in str(caught.value)
    assert "planted" not in str(caught.value)
    assert [] == list(estate.server.requests)
    assert {"acme": caught.value.problems} == {
        name: getattr(error, "problems", None) for name, error in registry.warm(["acme"]).items()
    }
