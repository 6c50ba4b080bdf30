"""Where tenants become clients, and clones are handed out."""

from __future__ import annotations

import logging
import os
import warnings
from typing import TYPE_CHECKING, Any, Self

from tenantry import warming
from tenantry.clients import BuiltClients, EndpointClients, Sockets
from tenantry.context import current_tenant
from tenantry.errors import RegistryClosedError, TenantDisabledError, TenantryError
from tenantry.events import EventStream
from tenantry.opening import Opening
from tenantry.operations import Operations
from tenantry.reloading import Reloader
from tenantry.secrets import Secrets
from tenantry.sources import kinds
from tenantry.watching import Watcher

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from openai import AsyncOpenAI, OpenAI
    from typing_extensions import Unpack

    from tenantry.catalog import Catalog
    from tenantry.clients import ClientOptions
    from tenantry.loading import Config, Contents
    from tenantry.reloading import Read
    from tenantry.settings import RegistrySettings, TenantSettings

log = logging.getLogger("tenantry")


class ClientRegistry(Operations):
    """All tenants of one process, and their OpenAI clients; lives as long as the process.

    Make it with `open`, end it with `close` or a `with` block. Safe to use from threads and event
    loops, and in children that are forked from the process.
    """

    def __init__(
        self,
        catalog: Catalog,
        secrets: Secrets,
        events: EventStream,
        read: Read,
        limits: RegistrySettings,
    ) -> None:
        sockets = Sockets(secrets.schedule, limits.max_sockets)
        clients = BuiltClients(
            events,
            secrets.schedule,
            evicted=lambda clients: secrets.let_go(clients.tenant, clients.settings),
            idle_after=limits.idle_after,
            limit=limits.max_clients,
        )
        reloader = Reloader(read, catalog, secrets, clients, sockets, events, limits=limits)
        super().__init__(catalog, secrets, clients, reloader, events)
        self._sockets = sockets
        self._find = clients.pool.built.get

    @classmethod
    def open(
        cls,
        config: Config | Catalog | None = None,
        *,
        environ: Mapping[str, str] | None = None,
    ) -> Self:
        """Read a configuration; no network.

        Args:
            config: a file, a directory, several of them, a mapping, a `Settings` or a `Catalog`.
                None takes `TENANTRY_CONFIG`, else `config/tenants.yaml` where that exists, else
                the environment alone.
            environ: the one environment for `${NAME}`, `TENANTRY_...`, `{env: NAME}` and
                `inherit_environment`; `os.environ` by default.

        Raises:
            ConfigError: with every problem of the configuration.
        """
        opening = Opening(config, os.environ if environ is None else environ, kinds())
        contents = opening.contents()
        configuration = opening.read(contents)
        events = EventStream()
        secrets = Secrets(configuration.sources, opening.kinds, opening.environ, events)
        catalog = opening.catalog(configuration)
        registry = cls(catalog, secrets, events, opening.read, configuration.registry)
        try:
            registry._warm_at_open(configuration.registry)
        except TenantryError:
            registry.close()
            raise
        if contents is not None and configuration.registry.watch is not None:
            registry._watch(opening.paths, contents, configuration.registry.watch)
        return registry

    # -- clients ----------------------------------------------------------------------------------

    def client(
        self,
        tenant: str | None = None,
        *,
        endpoint: str | None = None,
        **options: Unpack[ClientOptions],
    ) -> OpenAI:
        """Return the tenant's `openai.OpenAI` (for Azure an `AzureOpenAI`, which is one).

        It is built on first use and shared from then on; with options, a `with_options` clone that
        shares its connections. No network.

        Args:
            tenant: the tenant's name; None is the current tenant, see `use_tenant`.
            endpoint: one of the tenant's `endpoints`; None is the tenant's own address.
            **options: see `ClientOptions`; times in seconds.

        Raises:
            TenantryError: `NoCurrentTenantError`, `UnknownTenantError`, `UnknownEndpointError`,
                `TenantDisabledError`, `TenantQuarantinedError`, `OptionNotAllowedError` or
                `RegistryClosedError`.
        """
        name = current_tenant() if tenant is None else tenant
        clients = self._find(name if endpoint is None else (name, endpoint))
        clients = clients or self._endpoint(name, endpoint)
        if options:
            return clients.sync_clone(options)
        return clients.sync_client or clients.sync()

    def async_client(
        self,
        tenant: str | None = None,
        *,
        endpoint: str | None = None,
        **options: Unpack[ClientOptions],
    ) -> AsyncOpenAI:
        """Return the tenant's `openai.AsyncOpenAI`; see `client`. Needs no running loop."""
        name = current_tenant() if tenant is None else tenant
        clients = self._find(name if endpoint is None else (name, endpoint))
        clients = clients or self._endpoint(name, endpoint)
        if options:
            return clients.async_clone(options)
        return clients.async_client or clients.async_()

    def evict(self, tenant: str) -> None:
        """Let go of a tenant's clients; who holds one keeps a working one."""
        self._clients.evict_tenant(tenant, "asked")

    async def aload(self, tenant: str) -> None:
        """Make sure that a tenant can be served without further reading of the catalog.

        Today's catalogs hold everything in memory, so that this never waits.

        Raises:
            TenantryError: `UnknownTenantError`, `TenantDisabledError`, `TenantQuarantinedError` or
                `RegistryClosedError`.
        """
        self._enabled(tenant, None)

    # -- the end ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Shut all gates and close all connections; closing twice is harmless.

        Connections of event loops that run elsewhere are closed there, without waiting.
        """
        for clients in self._shut():
            clients.dispose()
        self._end()

    async def aclose(self) -> None:
        """Do what `close` does, and wait for the connections of the running loop."""
        for clients in self._shut():
            await clients.adispose()
        self._end()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            # Who still holds a client keeps a working one; threads and sockets end with the last.
            message = f"{self!r} was not closed: use `with`, or call close() or aclose()"
            warnings.warn(message, ResourceWarning, stacklevel=2, source=self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self.tenants)} tenants"
        return f"<ClientRegistry {state}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # Containers copy what they are given; a registry is shared, not copied.
        return self

    # -- within -----------------------------------------------------------------------------------

    def _endpoint(self, name: str, endpoint: str | None) -> EndpointClients:
        while True:
            clients = self._clients.get(name, endpoint, lambda: self._build(name, endpoint))
            if self._is_current(clients):
                return clients
            self._clients.evict(clients, "changed")

    def _is_current(self, clients: EndpointClients) -> bool:
        """Whether the tenant is as it was when its clients were built, or began to be.

        Raises:
            TenantryError: it is not served any more, or the registry was closed.
        """
        try:
            return clients.serves(self._enabled(clients.tenant, clients.endpoint or None))
        except TenantryError as error:
            reason = error
            clients.shut(lambda: reason)
            self._clients.evict(clients, "changed")
            raise

    def _build(self, name: str, endpoint: str | None) -> EndpointClients:
        settings = self._enabled(name, endpoint)
        self._secrets.outdate(name, settings)
        credentials = self._secrets.credentials(name, settings)
        return EndpointClients(
            name, endpoint or "", settings, credentials, self._events, self._sockets
        )

    def _enabled(self, name: str, endpoint: str | None) -> TenantSettings:
        """Return the settings that clients are built with now.

        Raises:
            TenantryError: why there are none.
        """
        self._check_open()
        tenant = self.catalog.get(name)
        if not tenant.settings.enabled:
            raise TenantDisabledError(name)
        return tenant.at(endpoint)

    def _warm_at_open(self, how: RegistrySettings) -> None:
        """Fetch what the configuration wants fetched at once, and log what cannot be.

        Raises:
            TenantryError: the first that was found, with `on_problem: fail`.
        """
        if how.warm == "none":
            return
        wanted = None if how.warm == "all" else self._secrets.is_local
        faults = warming.warm_at_once(self._served(), self._documents, wanted)
        if how.warm == "sources":
            faults += [error for error in self.ready().values() if error is not None]
        for error in faults:
            if how.on_problem == "fail":
                raise error
            log.warning("tenantry: %s", error)

    def _watch(self, paths: Sequence[Path], contents: Contents, every: float) -> None:
        take, secrets = self._reloader.reload_or_log, self._secrets
        self._watcher = Watcher(paths, contents, every, take, secrets.schedule, secrets.submit)

    def _shut(self) -> list[EndpointClients]:
        self._closed = True
        for listener in self._listeners:
            listener.stop()
        return self._clients.shut_all(RegistryClosedError)

    def _end(self) -> None:
        self._secrets.close()
        self._events.close()
