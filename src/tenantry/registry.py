"""Where tenants become clients, and clones are handed out."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import warnings
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Self

from tenantry import logs, warming
from tenantry.catalog import LazyCatalog
from tenantry.clients import BuiltClients, EndpointClients, Sockets
from tenantry.context import current_tenant
from tenantry.errors import (
    CatalogUnavailableError,
    CredentialUnavailableError,
    RegistryClosedError,
    TenantDisabledError,
    TenantNotLoadedError,
    TenantryError,
)
from tenantry.events import EventStream
from tenantry.opening import Opening
from tenantry.operations import Operations
from tenantry.reloading import Reloader
from tenantry.sources import kinds
from tenantry.watching import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from openai import AsyncOpenAI, OpenAI
    from typing_extensions import Unpack

    from tenantry.catalog import Catalog
    from tenantry.clients import ClientOptions
    from tenantry.loading import Config, Contents, Tenant
    from tenantry.reloading import Read
    from tenantry.secrets import Secrets
    from tenantry.settings import RegistrySettings, TenantSettings

    Find = Callable[[str], Tenant]  # raises what keeps a tenant from being served

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
        if limits.fingerprint_key is not None:
            secrets.fingerprint_under(limits.fingerprint_key)
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
        events = EventStream(logs)
        secrets = opening.secrets(configuration, events)
        catalog = opening.catalog(configuration, secrets, events)
        registry = cls(catalog, secrets, events, opening.read, configuration.registry)
        for quarantined in registry._in_quarantine():
            events.publish(quarantined)
        try:
            if configuration.registry.control is not None:
                registry.serve_control(configuration.registry.control)
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
        shares its connections. No network, but where tenants stand in an engine: there the first
        use of a tenant is one read of it, of at most a second.

        Args:
            tenant: the tenant's name; None is the current tenant, see `use_tenant`.
            endpoint: one of the tenant's `endpoints`; None is the tenant's own address.
            **options: see `ClientOptions`; times in seconds.

        Raises:
            TenantryError: `NoCurrentTenantError`, `UnknownTenantError`, `UnknownEndpointError`,
                `TenantDisabledError`, `TenantQuarantinedError`, `CatalogUnavailableError`,
                `OptionNotAllowedError` or `RegistryClosedError`.
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
        """Return the tenant's `openai.AsyncOpenAI`; see `client`. Needs no running loop.

        Raises:
            TenantNotLoadedError: it stands in an engine and was not read yet: `aload` it first.
        """
        name = current_tenant() if tenant is None else tenant
        clients = self._find(name if endpoint is None else (name, endpoint))
        clients = clients or self._endpoint(name, endpoint, self._find_loaded)
        if options:
            return clients.async_clone(options)
        return clients.async_client or clients.async_()

    def evict(self, tenant: str) -> None:
        """Let go of a tenant's clients; who holds one keeps a working one."""
        self._clients.evict_tenant(tenant, "asked")

    async def aload(self, tenant: str) -> None:
        """Make sure that a tenant can be served without further reading of the catalog.

        Waits only where tenants stand in an engine, and this one was not read yet.

        Raises:
            TenantryError: `UnknownTenantError`, `TenantDisabledError`, `TenantQuarantinedError`,
                `CatalogUnavailableError` or `RegistryClosedError`.
        """
        self._check_open()
        if isinstance(self.catalog, LazyCatalog):
            await self.catalog.aget(tenant)
        self._enabled(tenant, None, self._find_loaded)

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
        await _aside(self._end)  # waits for hooks, and for a database that is slow

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
        if self._closed:
            return "<ClientRegistry closed>"
        loaded = " loaded" if isinstance(self.catalog, LazyCatalog) else ""
        return f"<ClientRegistry {len(self.loaded_names())} tenants{loaded}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # Containers copy what they are given; a registry is shared, not copied.
        return self

    # -- within -----------------------------------------------------------------------------------

    def _endpoint(
        self, name: str, endpoint: str | None, find: Find | None = None
    ) -> EndpointClients:
        find = find or self.catalog.get
        while True:
            clients = self._clients.get(name, endpoint, lambda: self._build(name, endpoint, find))
            if self._is_current(clients, find):
                return clients
            self._clients.evict(clients, "changed")

    def _is_current(self, clients: EndpointClients, find: Find) -> bool:
        """Whether the tenant is as it was when its clients were built, or began to be.

        Raises:
            TenantryError: it is not served any more, nobody knows, or the registry was closed.
        """
        try:
            return clients.serves(self._enabled(clients.tenant, clients.endpoint or None, find))
        except (CatalogUnavailableError, TenantNotLoadedError):
            self._clients.evict(clients, "changed")
            raise
        except TenantryError as error:
            reason = error
            clients.shut(lambda: reason)
            self._clients.evict(clients, "changed")
            raise

    def _build(self, name: str, endpoint: str | None, find: Find | None = None) -> EndpointClients:
        settings = self._enabled(name, endpoint, find or self.catalog.get)
        self._secrets.outdate(name, settings)
        credentials = self._secrets.credentials(name, settings)
        return EndpointClients(
            name, endpoint or "", settings, credentials, self._events, self._sockets
        )

    def _enabled(self, name: str, endpoint: str | None, find: Find) -> TenantSettings:
        """Return the settings that clients are built with now.

        Raises:
            TenantryError: why there are none.
        """
        self._check_open()
        tenant = find(name)
        if not tenant.settings.enabled:
            raise TenantDisabledError(name)
        return tenant.at(endpoint)

    def _find_loaded(self, name: str) -> Tenant:
        """Return a tenant without reading an engine: an event loop may be waiting."""
        catalog = self.catalog
        return catalog.loaded(name) if isinstance(catalog, LazyCatalog) else catalog.get(name)

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
            if not self._was_told(error):
                log.warning("tenantry: %s", error)

    def _was_told(self, error: TenantryError) -> bool:
        """Whether a failed fetch is what is wrong, which is an event and so in the log."""
        if not isinstance(error, CredentialUnavailableError):
            return isinstance(error, CatalogUnavailableError)
        documents = self._documents(error.tenant)
        return any(each.keeper.error is error.__cause__ for each in documents)

    def _watch(self, paths: Sequence[Path], contents: Contents, every: float) -> None:
        take, secrets = self._reloader.reload_if_right, self._secrets
        self._watcher = Watcher(paths, contents, every, take, secrets.schedule, secrets.submit)

    def _shut(self) -> list[EndpointClients]:
        self._closed = True
        for listener in self._listeners:
            listener.stop()
        return self._clients.shut_all(RegistryClosedError)

    def _end(self) -> None:
        if isinstance(self.catalog, LazyCatalog):
            self.catalog.close()
        self._secrets.close()
        self._events.close()


async def _aside(work: Callable[[], None]) -> None:
    """Do something on a thread of its own: those of the loop may all be taken, or gone.

    Who gives up waiting does not end it.
    """
    done: Future[None] = Future()
    done.set_running_or_notify_cancel()

    def run() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001  # told to who waits
            done.set_exception(error)
        else:
            done.set_result(None)

    try:
        threading.Thread(target=run, name="tenantry-closing", daemon=True).start()
    except RuntimeError:  # there can be no more threads, or the process is ending
        run()
    await asyncio.wrap_future(done)
