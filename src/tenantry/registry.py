"""Where tenants become clients, and clones are handed out."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any, Self

from tenantry import warming
from tenantry.clients import BuiltClients, EndpointClients, Sockets, checked
from tenantry.context import current_tenant
from tenantry.errors import (
    RegistryClosedError,
    TenantDisabledError,
    TenantryError,
    UnknownEndpointError,
)
from tenantry.events import EventStream, TenantQuarantined
from tenantry.loading import explain
from tenantry.opening import Opening
from tenantry.reloading import Reloader
from tenantry.secrets import Secrets
from tenantry.signals import OnSignal
from tenantry.sources import kinds
from tenantry.status import TenantStatus, status_of
from tenantry.watching import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from openai import AsyncOpenAI, OpenAI
    from typing_extensions import Unpack

    from tenantry.catalog import Catalog, CatalogChange
    from tenantry.clients import ClientOptions
    from tenantry.credential import Credential
    from tenantry.events import Hook
    from tenantry.loading import Config, Contents, Setting, Tenant
    from tenantry.reloading import Read
    from tenantry.settings import RegistrySettings, TenantSettings


class ClientRegistry:
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
        self.catalog = catalog
        self._secrets = secrets
        self._events = events
        self._closed = False
        self._sockets = Sockets(secrets.schedule, limits.max_sockets)
        self._clients = BuiltClients(
            events, secrets.schedule, idle_after=limits.idle_after, limit=limits.max_clients
        )
        self._built = self._clients.pool.built
        self._listeners: list[OnSignal] = []
        self._reloader = Reloader(
            read, catalog, secrets, self._clients, self._sockets, events, limits=limits
        )

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
            served = [name for name in catalog.names() if not catalog.problems(name)]
            warming.warm_at_open(
                configuration.registry, served, registry._documents, secrets.is_local
            )
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
        clients = self._built.get((name, endpoint))
        client = (clients or self._endpoint(name, endpoint)).sync()
        if not options:
            return client
        checked(options)
        return client.with_options(**options)

    def async_client(
        self,
        tenant: str | None = None,
        *,
        endpoint: str | None = None,
        **options: Unpack[ClientOptions],
    ) -> AsyncOpenAI:
        """Return the tenant's `openai.AsyncOpenAI`; see `client`. Needs no running loop."""
        name = current_tenant() if tenant is None else tenant
        clients = self._built.get((name, endpoint))
        client = (clients or self._endpoint(name, endpoint)).async_()
        if not options:
            return client
        checked(options)
        return client.with_options(**options)

    def evict(self, tenant: str) -> None:
        """Let go of a tenant's clients; who holds one keeps a working one."""
        self._clients.evict_tenant(tenant, "asked")

    # -- knowing ----------------------------------------------------------------------------------

    @property
    def tenants(self) -> Collection[str]:
        """The names of all tenants: `in`, `len` and iteration."""
        return self.catalog.names()

    def status(self, tenant: str) -> TenantStatus:
        """Return what is known of a tenant; reads no secret and asks nobody.

        Raises:
            UnknownTenantError: nobody has that name.
        """
        return status_of(tenant, self.catalog, self._clients, self._secrets)

    def explain(self, tenant: str, *, endpoint: str | None = None) -> tuple[Setting, ...]:
        """Return every setting of a tenant: its name, its value without secrets, its origin."""
        found = self.catalog.get(tenant)
        self._settings(found, endpoint)
        return explain(found, endpoint or "")

    def subscribe(self, hook: Hook) -> Callable[[], None]:
        """Send every event to `hook`, on a thread of its own; returns what ends it."""
        in_quarantine = ((name, self.catalog.problems(name)) for name in self.catalog.names())
        first = [TenantQuarantined(name, problems) for name, problems in in_quarantine if problems]
        return self._events.subscribe(hook, first)

    # -- change -----------------------------------------------------------------------------------

    def plan(self) -> CatalogChange:
        """Return what `reload` would change; changes nothing.

        Raises:
            ConfigError: the configuration cannot be used.
        """
        self._check_open()
        return self._reloader.plan()

    def reload(self, *, force: bool = False) -> CatalogChange:
        """Read the configuration again, and put it in place whole or not at all.

        Tenants that are as before keep their clients, connections and secrets. Those that changed
        get new ones with their next use; requests in flight finish. A tenant whose new settings are
        wrong keeps those of before.

        Args:
            force: also if it removes more tenants than `registry.max_removals`.

        Raises:
            ConfigError: it cannot be used, or would remove too many tenants; nothing changes.
        """
        self._check_open()
        return self._reloader.reload(force=force)

    def reload_on(self, signum: int) -> Callable[[], None]:
        """Reload each time that the process gets a signal, such as `signal.SIGHUP`.

        Call it on the main thread; returns what ends it. What cannot be used is logged.
        """
        listener = OnSignal(signum, self._reloader.reload_or_log)
        self._listeners.append(listener)
        return listener.stop

    # -- secrets ----------------------------------------------------------------------------------

    def refresh(self, tenant: str, *, drop_previous: bool = False) -> None:
        """Fetch the tenant's credentials now, those of its endpoints too, past any back-off.

        With `drop_previous`, for a key that was compromised, nothing older serves again.

        Raises:
            CredentialUnavailableError: where one could not be fetched, with its cause.
        """
        for credential in self._documents(tenant):
            credential.refresh(drop_previous=drop_previous)

    async def arefresh(self, tenant: str, *, drop_previous: bool = False) -> None:
        """Do what `refresh` does, without holding up the event loop."""
        for credential in self._documents(tenant):
            await credential.arefresh(drop_previous=drop_previous)

    def warm(
        self,
        tenants: Iterable[str] | None = None,
        *,
        concurrency: int = 8,
        timeout: float = 30.0,
    ) -> dict[str, TenantryError | None]:
        """Fetch what tenants need before a request wants it.

        Args:
            tenants: their names; all by default.
            concurrency: how many at a time.
            timeout: seconds for all of them.

        Returns:
            What went wrong, or None, by the tenant's name. Nothing is raised for a tenant.
        """
        names = self.tenants if tenants is None else tenants
        return warming.warm(names, self._documents, concurrency=concurrency, timeout=timeout)

    async def awarm(
        self,
        tenants: Iterable[str] | None = None,
        *,
        concurrency: int = 8,
        timeout: float = 30.0,  # noqa: ASYNC109  # the pair of `warm`; each tenant has its outcome
    ) -> dict[str, TenantryError | None]:
        """Do what `warm` does, without holding up the event loop."""
        names = self.tenants if tenants is None else tenants
        return await warming.awarm(names, self._documents, concurrency=concurrency, limit=timeout)

    # -- the end ----------------------------------------------------------------------------------

    def drain(self, timeout: float) -> dict[str, int]:
        """Wait until nothing is in flight; gates stay open.

        In flight is what passed a gate, until its body is closed, read or collected; and open
        WebSockets.

        Args:
            timeout: seconds to wait at most.

        Returns:
            How many requests of which tenant are still in flight; nothing where all are done.
        """
        return self._clients.drain(timeout)

    async def adrain(self, timeout: float) -> dict[str, int]:  # noqa: ASYNC109  # `drain`'s pair
        """Do what `drain` does, without holding up the event loop."""
        return await self._clients.adrain(timeout)

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
            clients = self._clients.get((name, endpoint), lambda: self._build(name, endpoint))
            if self._is_current(clients):
                return clients
            self._clients.evict(clients, "changed")

    def _is_current(self, clients: EndpointClients) -> bool:
        """Whether the tenant is as it was when its clients were built, or began to be.

        Raises:
            TenantryError: it is not served any more, or the registry was closed.
        """
        try:
            return clients.serves(self._enabled(*clients.key))
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
        return self._settings(tenant, endpoint)

    def _check_open(self) -> None:
        if self._closed:
            raise RegistryClosedError

    def _settings(self, tenant: Tenant, endpoint: str | None) -> TenantSettings:
        if endpoint is None:
            return tenant.settings
        if endpoint not in tenant.endpoints:
            raise UnknownEndpointError(tenant.name, endpoint, tuple(tenant.endpoints))
        return tenant.endpoints[endpoint]

    def _documents(self, name: str) -> list[Credential]:
        self._check_open()
        return self._secrets.documents(self.catalog.get(name))

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
