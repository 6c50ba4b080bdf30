"""The container's registry is opened once, closed for good, and never behind anybody's back."""

from __future__ import annotations

import asyncio
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from dependency_injector import containers, providers
from dependency_injector.wiring import Closing, Provide

from tenantry import ClientRegistry, ConfigError, RegistryClosedError, use_tenant
from tenantry.integrations.dependency_injector import TenantryContainer, inject

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

THREADS = 16


def test_the_first_use_opens_it(container: TenantryContainer) -> None:
    """Nothing is opened before a client is asked for, or `init_resources()` called."""
    assert not container.lifecycle.initialized
    container.client(tenant="acme")
    assert container.lifecycle.initialized


def test_init_opens_it(config: dict[str, Any]) -> None:
    """`init_resources()` opens the registry, so that a wrong configuration stops the start."""
    container = TenantryContainer(config={**config, "tenants": {}, "registry": {"watch": "no"}})
    with pytest.raises(ConfigError):
        container.init_resources()
    assert not container.lifecycle.initialized


def test_what_could_not_be_opened_is_tried_again(
    container: TenantryContainer, config: dict[str, Any]
) -> None:
    """A failure to open is not kept."""
    with container.config.override("nowhere.yaml"), pytest.raises(ConfigError):
        container.client(tenant="acme")
    container.config.override(config)
    assert "acme" in container.registry().tenants


def test_threads_that_ask_first_share_one_registry(container: TenantryContainer) -> None:
    """However many threads ask first at once, one registry and one client come to be."""
    barrier = threading.Barrier(THREADS)
    found: list[Any] = []

    def ask(asked: Callable[[], Any]) -> None:
        barrier.wait(10)
        asked()
        found.append(container.client(tenant="acme"))

    ways = [container.registry, container.init_resources]
    threads = [threading.Thread(target=ask, args=(ways[n % 2],)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert THREADS == len(found)
    assert 1 == len({id(client) for client in found})


@pytest.mark.parametrize("opened", ["by init", "by use"])
def test_shutdown_closes_what_was_opened(config: dict[str, Any], opened: str) -> None:
    """However it was opened: afterwards neither the container nor a held client sends anything."""
    container = TenantryContainer(config=config)
    if opened == "by init":
        container.init_resources()
    held = container.client(tenant="acme")
    container.shutdown_resources()
    with pytest.raises(RegistryClosedError):
        held.models.list()


def test_after_shutdown_it_says_what_to_do(config: dict[str, Any]) -> None:
    """A container that was shut down does not silently open another registry."""
    container = TenantryContainer(config=config)
    container.init_resources()
    container.shutdown_resources()
    for ask in (container.registry, container.client, container.async_client):
        with pytest.raises(RegistryClosedError, match=r"closed by shutdown_resources\(\)"):
            ask()


def test_init_opens_it_again(container: TenantryContainer) -> None:
    """An application that starts again in the same process gets a new registry."""
    container.init_resources()
    first = container.registry()
    container.shutdown_resources()
    container.shutdown_resources()
    container.init_resources()
    assert first is not container.registry()
    assert "list" == container.client(tenant="acme").models.list().object


def test_shutdown_before_the_first_use_forbids_nothing(container: TenantryContainer) -> None:
    """Nothing was closed, so that nothing is refused."""
    container.shutdown_resources()
    assert "acme" in container.registry().tenants


def test_what_was_closed_by_hand_is_shut_down_too(container: TenantryContainer) -> None:
    """Who awaits `aclose()` of the registry may call `shutdown_resources()` afterwards."""
    asyncio.run(container.registry().aclose())
    with pytest.raises(RegistryClosedError):
        container.client(tenant="acme")
    container.shutdown_resources()
    container.init_resources()
    assert "list" == container.client(tenant="acme").models.list().object


async def test_it_is_shut_down_on_an_event_loop(container: TenantryContainer) -> None:
    """`shutdown_resources()` needs no await, and leaves no connection open."""
    await container.async_client(tenant="acme").models.list()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        assert container.shutdown_resources() is None


# -- what dependency-injector does to others ------------------------------------------------------


@inject
def use(
    client: Any = Closing[Provide["client"]], registry: Any = Closing[Provide["registry"]]
) -> Any:
    """Stand for a request whose function closes what it was given."""
    return client, registry


def test_closing_a_client_closes_nothing(container: TenantryContainer) -> None:
    """A `Closing` marker ends no other request: the registry stays open."""
    container.wire(modules=[sys.modules[__name__]])
    with use_tenant("acme"):
        client, registry = use()
    container.unwire()
    assert (container.client(tenant="acme"), container.registry()) == (client, registry)
    assert "list" == client.models.list().object


class WithOwn(containers.DeclarativeContainer):
    """An application with resources of its own: one that is async, one that rests on clients."""

    tenantry = providers.Configuration()
    ended = providers.Object[Any](None)

    @staticmethod
    async def connect() -> AsyncIterator[str]:
        yield "connected"

    @staticmethod
    def work(registry: ClientRegistry, ended: list[Any]) -> Iterator[ClientRegistry]:
        yield registry
        ended.append(registry.client("acme").models.list().object)

    openai = providers.Container(TenantryContainer, config=tenantry)


async def test_other_async_resources_make_no_futures(config: dict[str, Any]) -> None:
    """Beside an async resource, clients are clients, and everything is shut down in one await."""

    class Mixed(WithOwn):
        connection = providers.Resource(WithOwn.connect)

    application = Mixed(tenantry=config)
    await _done(application.init_resources())
    assert "list" == application.openai.client(tenant="acme").models.list().object
    assert application.openai.registry() is application.openai.lifecycle()
    await _done(application.shutdown_resources())
    assert not application.openai.container.lifecycle.initialized


async def _done(outcome: Awaitable[None] | None) -> None:
    if outcome is not None:  # it is where no resource is async
        await outcome


def test_a_resource_that_rests_on_ours_ends_first(config: dict[str, Any]) -> None:
    """A resource that is given `lifecycle` may still use its clients while it is shut down."""

    class Resting(WithOwn):
        worker = providers.Resource(
            WithOwn.work, registry=WithOwn.openai.lifecycle, ended=WithOwn.ended
        )

    ended: list[Any] = []
    application = Resting(tenantry=config, ended=providers.Object(ended))
    for _ in range(2):
        application.init_resources()
        application.shutdown_resources()
    assert ["list", "list"] == ended


@pytest.mark.parametrize("kind", [providers.Resource, providers.Coroutine])
async def test_an_async_configuration_is_refused(
    config: dict[str, Any], kind: type[providers.Provider[Any]]
) -> None:
    """A configuration that is still to come would turn every client into a Future."""

    async def read() -> dict[str, Any]:
        return config

    class Late(containers.DeclarativeContainer):
        config: providers.Provider[Any] = kind(read)  # type: ignore[call-arg]  # both take it
        openai = providers.Container(TenantryContainer, config=config)

    application = Late()
    for _ in range(2):
        with pytest.raises(TypeError, match="`config` of a TenantryContainer comes from an async"):
            application.openai.client(tenant="acme")
    application.openai.config.override(await application.config.async_())
    assert "list" == application.openai.client(tenant="acme").models.list().object
    await _done(application.shutdown_resources())


async def test_an_async_registry_is_refused(container: TenantryContainer) -> None:
    """What stands in for the registry has to be there, not to come."""

    async def opened() -> None:
        """Never awaited, and closed so that nobody is warned of it."""

    with (
        container.registry.override(providers.Coroutine(opened)),
        pytest.raises(TypeError, match="`registry` of a TenantryContainer comes from an async"),
    ):
        container.client(tenant="acme")
    assert "list" == container.client(tenant="acme").models.list().object


def test_a_registry_that_was_closed_by_hand_is_opened_anew(container: TenantryContainer) -> None:
    """`init_resources()` hands out no closed registry, whoever closed it."""
    container.registry().close()
    container.init_resources()
    assert not container.registry().closed
