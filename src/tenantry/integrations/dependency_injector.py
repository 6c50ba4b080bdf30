"""tenantry in a container of dependency-injector.

    class Application(containers.DeclarativeContainer):
        openai = providers.Container(TenantryContainer, config="config/tenants.yaml")
        summaries = providers.Factory(Summaries, client=openai.client.provider)

    Application().openai.client(tenant="acme", timeout=5)     # a clone, typed as openai.OpenAI

Objects that live as long as the application are given `client.provider` and call it for each piece
of work; short-lived ones are given the client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dependency_injector import containers, providers

from tenantry.registry import ClientRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator


def _open_until_shutdown(registry: ClientRegistry) -> Iterator[ClientRegistry]:
    yield registry
    registry.close()


class TenantryContainer(containers.DeclarativeContainer):
    """The registry, and the clients that it hands out, as providers.

    `config` and `environ` are what `ClientRegistry.open` takes. `client(tenant=..., **options)` and
    `async_client(...)` hand out clients as the registry does. `init_resources()` opens the registry
    before it is first used, `shutdown_resources()` closes it.
    """

    config: providers.Provider[Any] = providers.Object(None)
    environ: providers.Provider[Any] = providers.Object(None)

    # Not Singleton or Resource: neither is safe when threads ask for it first at the same time.
    registry = providers.ThreadSafeSingleton(ClientRegistry.open, config, environ=environ)
    client = providers.Callable(ClientRegistry.client, registry)
    async_client = providers.Callable(ClientRegistry.async_client, registry)

    lifecycle = providers.Resource(_open_until_shutdown, registry)
