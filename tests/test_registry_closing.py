"""How a registry ends, and what that means for clients that are still held."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest
from openai import OpenAI

from tenantry import ClientRegistry, RegistryClosedError
from tenantry.catalog import MemoryCatalog

if TYPE_CHECKING:
    from tenantry.loading import Tenant
    from tenantry.testing import OpenAIServer

KEYS = {"KEY_ACME": "sk-acme-0123456789", "KEY_GLOBEX": "sk-globex-0123456789"}


@pytest.fixture
def server(openai_server: OpenAIServer) -> OpenAIServer:
    for key in KEYS.values():
        openai_server.allow(key)
    return openai_server


@pytest.fixture
def config(server: OpenAIServer) -> dict[str, Any]:
    acme = {"base_url": server.base_url, "api_key": {"env": "KEY_ACME"}}
    azure = {"provider": "azure", "azure_endpoint": server.url, "api_version": "2024-10-21"}
    return {"tenants": {"acme": acme, "globex": {**azure, "api_key": {"env": "KEY_GLOBEX"}}}}


def test_a_closed_registry_hands_out_nothing(config: dict[str, Any]) -> None:
    """After `close()`, and after a second one, every call that needs a client is an error."""
    registry = ClientRegistry.open(config, environ=KEYS)
    registry.client("acme")
    registry.close()
    registry.close()
    for ask in (registry.client, registry.async_client, registry.refresh):
        with pytest.raises(RegistryClosedError, match="open a new one"):
            ask("acme")


async def test_held_clients_end_with_the_registry(
    config: dict[str, Any], server: OpenAIServer
) -> None:
    """Requests of held clients and clones raise the error itself, one of the SDK's too."""
    registry = ClientRegistry.open(config, environ=KEYS)
    client, aclient = registry.client("acme"), registry.async_client("globex")
    clone = client.with_options(timeout=5)
    client.models.list()
    await aclient.models.list()
    await registry.aclose()
    await registry.aclose()
    for each in (client, clone):
        with pytest.raises(RegistryClosedError) as caught:
            each.models.list()
        assert isinstance(caught.value, openai.OpenAIError)
    with pytest.raises(RegistryClosedError):
        await aclient.models.list()
    assert 2 == len(server.requests)


@pytest.mark.skipif(not hasattr(OpenAI, "admin"), reason="openai>=2.34 has admin endpoints")
def test_a_client_with_an_admin_key_alone_ends_too(server: OpenAIServer) -> None:
    """A gate is shut for requests that do not ask for the tenant's key first."""
    said = {"base_url": server.base_url, "admin_api_key": {"env": "KEY_ACME"}}
    with ClientRegistry.open({"tenants": {"acme": said}}, environ=KEYS) as registry:
        client: Any = registry.client("acme")
        client.admin.organization.projects.list()
    with pytest.raises(RegistryClosedError):
        client.admin.organization.projects.list()
    assert 1 == len(server.requests)


async def test_closing_within_a_loop_waits_for_nothing(
    config: dict[str, Any], server: OpenAIServer
) -> None:
    """`close()` on a running loop closes its sockets there, soon."""
    with ClientRegistry.open(config, environ=KEYS) as registry:
        await registry.async_client("acme").models.list()
    assert 1 == server.count(status=200)


class Closing(MemoryCatalog):
    """A catalog whose registry is closed while it is asked, once."""

    registry: ClientRegistry | None = None

    def get(self, name: str) -> Tenant:
        if self.registry is not None:
            self.registry.close()
        return super().get(name)


def test_closing_while_a_client_is_built(config: dict[str, Any]) -> None:
    """A client whose building met the end of the registry is not handed out."""
    with ClientRegistry.open(config, environ=KEYS) as registry:
        catalog = Closing({"acme": registry.catalog.get("acme")})
    closing = ClientRegistry.open(catalog, environ=KEYS)
    catalog.registry = closing
    for _ in range(2):
        with pytest.raises(RegistryClosedError):
            closing.client("acme")
