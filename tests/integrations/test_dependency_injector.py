"""`TenantryContainer` hands out clients, and nothing of dependency-injector breaks them."""

from __future__ import annotations

import copy
import threading
from typing import TYPE_CHECKING, Any

import openai
import pytest
from dependency_injector import containers, providers

from tenantry import ClientRegistry, RegistryClosedError, UnknownTenantError
from tenantry.integrations.dependency_injector import TenantryContainer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenantry.testing import OpenAIServer

THREADS = 16


class Greeter:
    """An object that lives as long as the application, and asks for a client per piece of work."""

    def __init__(self, client_for: Any) -> None:
        self.client_for = client_for


class Application(containers.DeclarativeContainer):
    """An application's own container, with ours inside."""

    config = providers.Configuration()
    openai = providers.Container(TenantryContainer, config=config.tenantry)
    greeter = providers.Singleton(Greeter, client_for=openai.client.provider)


@pytest.fixture
def config(openai_server: OpenAIServer) -> dict[str, Any]:
    openai_server.allow("key-acme")
    return {
        "defaults": {"base_url": openai_server.base_url},
        "tenants": {
            "acme": {"api_key": {"env": "KEY_ACME"}},
            "globex": {
                "provider": "azure",
                "azure_endpoint": openai_server.azure_endpoint,
                "api_version": "2024-10-21",
                "api_key": {"env": "KEY_ACME"},
            },
        },
    }


@pytest.fixture
def container(config: dict[str, Any]) -> Iterator[TenantryContainer]:
    container = TenantryContainer(config=config, environ={"KEY_ACME": "key-acme"})
    container.init_resources()
    yield container
    container.shutdown_resources()


def test_it_hands_out_the_clients_of_the_registry(container: TenantryContainer) -> None:
    """The container's client is the registry's own, for every provider and both kinds."""
    registry = container.registry()
    assert container.client(tenant="acme") is registry.client("acme")
    assert container.async_client(tenant="acme") is registry.async_client("acme")
    assert isinstance(container.client(tenant="globex"), openai.AzureOpenAI)


def test_options_make_a_clone(container: TenantryContainer) -> None:
    """With options it hands out a clone, which shares the connections of the client."""
    clone = container.client(tenant="acme", timeout=5, max_retries=7)
    assert (5, 7) == (clone.timeout, clone.max_retries)
    assert "list" == clone.models.list().object


def test_an_unknown_tenant_is_the_registrys_error(container: TenantryContainer) -> None:
    """Errors pass through the container as they are."""
    with pytest.raises(UnknownTenantError, match="did you mean 'acme'"):
        container.client(tenant="acmee")


def test_threads_that_ask_first_share_one_registry(config: dict[str, Any]) -> None:
    """However many threads ask first at once, one registry and one client come to be."""
    container = TenantryContainer(config=config, environ={"KEY_ACME": "key-acme"})
    barrier = threading.Barrier(THREADS)
    found: list[Any] = []

    def ask() -> None:
        barrier.wait(10)
        found.append(container.client(tenant="acme"))

    threads = [threading.Thread(target=ask) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert THREADS == len(found)
    assert 1 == len({id(client) for client in found})
    container.registry().close()


def test_it_nests_in_an_applications_container(config: dict[str, Any]) -> None:
    """An application's container holds ours, and gives long-lived objects the provider."""
    application = Application()
    application.config.from_dict({"tenantry": {**config, "tenants": {"acme": _LITERAL}}})
    client = application.greeter().client_for(tenant="acme", timeout=3)
    assert 3 == client.timeout
    assert client.tenant == "acme"
    application.openai().registry().close()


_LITERAL = {"api_key": {"literal": "key-acme"}}


def test_shutdown_closes_the_registry(config: dict[str, Any]) -> None:
    """After `shutdown_resources()` neither the container nor a held client sends anything."""
    container = TenantryContainer(config=config, environ={"KEY_ACME": "key-acme"})
    container.init_resources()
    held = container.client(tenant="acme")
    container.shutdown_resources()
    with pytest.raises(RegistryClosedError):
        held.models.list()
    with pytest.raises(RegistryClosedError):
        container.client(tenant="acme")


def test_a_client_is_overridden_for_a_test(container: TenantryContainer) -> None:
    """A test puts its own object in the client's place, for the length of a block."""
    stand_in: Any = object()
    with container.client.override(providers.Object(stand_in)):
        assert stand_in is container.client(tenant="acme")
    assert isinstance(container.client(tenant="acme"), openai.OpenAI)


def test_copies_of_a_container_share_what_was_opened(config: dict[str, Any]) -> None:
    """dependency-injector copies what a container holds; a registry and a client stay one."""
    with ClientRegistry.open(config, environ={"KEY_ACME": "key-acme"}) as registry:
        client = registry.client("acme")
        assert registry is copy.deepcopy(registry)
        assert client is copy.deepcopy(client)
        assert client is providers.deepcopy(providers.Object(client))()
