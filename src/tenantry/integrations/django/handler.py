"""`clients["acme"]`: what `caches["default"]` is to caches, for all threads of a process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from tenantry.integrations.django.opened import holder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openai import AsyncOpenAI, OpenAI

    from tenantry.registry import ClientRegistry

C = TypeVar("C")


def get_registry() -> ClientRegistry:
    """Return the registry of this process; the first who asks opens it.

    Raises:
        ImproperlyConfigured: the settings cannot be used.
        ConfigError: the configuration cannot.
    """
    return holder.get().registry


class _ByTenant(Generic[C]):
    """The clients of all tenants, by name. One serves all threads and event loops."""

    def __getitem__(self, tenant: str) -> C:
        raise NotImplementedError

    def __delitem__(self, tenant: str) -> None:
        """Let go of a tenant's clients; who holds one keeps a working one."""
        get_registry().evict(tenant)

    def __contains__(self, tenant: object) -> bool:
        return tenant in get_registry().tenants

    def __iter__(self) -> Iterator[str]:
        return iter(get_registry().tenants)

    def __len__(self) -> int:
        return len(get_registry().tenants)

    def close_all(self) -> None:
        """Close the registry and every client of it; whoever asks next opens a new one."""
        holder.reset()


class Clients(_ByTenant["OpenAI"]):
    """`openai.OpenAI` clients by the tenant's name; for Azure an `AzureOpenAI`, which is one."""

    def __getitem__(self, tenant: str) -> OpenAI:
        return get_registry().client(tenant)


class AsyncClients(_ByTenant["AsyncOpenAI"]):
    """`openai.AsyncOpenAI` clients by the tenant's name."""

    def __getitem__(self, tenant: str) -> AsyncOpenAI:
        return get_registry().async_client(tenant)


clients = Clients()
async_clients = AsyncClients()
