"""What operators ask of a registry: what it knows, what would change, fetch now, is it ready."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tenantry import warming
from tenantry.errors import RegistryClosedError, TenantryError
from tenantry.events import EventStream, TenantQuarantined
from tenantry.loading import explain
from tenantry.signals import OnSignal
from tenantry.status import TenantStatus, status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from tenantry.catalog import Catalog, CatalogChange
    from tenantry.clients import BuiltClients
    from tenantry.credential import Credential
    from tenantry.events import Hook
    from tenantry.loading import Setting
    from tenantry.reloading import Reloader
    from tenantry.secrets import Secrets


class Operations:
    """The part of a registry that hands out no client; lives and ends with it."""

    def __init__(
        self,
        catalog: Catalog,
        secrets: Secrets,
        clients: BuiltClients,
        reloader: Reloader,
        events: EventStream,
    ) -> None:
        self.catalog = catalog
        self._secrets = secrets
        self._clients = clients
        self._reloader = reloader
        self._events = events
        self._closed = False
        self._listeners: list[OnSignal] = []
        self._samples: tuple[int, Mapping[str, Credential]] = (0, {})  # of a catalog's revision

    @property
    def closed(self) -> bool:
        """Whether the registry was closed: it hands out nothing any more."""
        return self._closed

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
        found.at(endpoint)
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

    # -- readiness --------------------------------------------------------------------------------

    def ready(self) -> dict[str, TenantryError | None]:
        """Say of each declared source whether it delivers; asks those that never did, and waits.

        Of each source one tenant's secret is looked at, the first that has one there. Where a value
        is held nobody is asked, so that this may be called as often as an orchestrator likes.

        Returns:
            What is wrong, or None, by the source's name; sources that no tenant uses are left out.
        """
        self._check_open()
        found = self._of_each_source()
        for credential in found.values():
            credential.prefetch()
        return {name: warming.fault_of(each.get) for name, each in found.items()}

    async def aready(self) -> dict[str, TenantryError | None]:
        """Do what `ready` does, without holding up the event loop."""
        self._check_open()
        found = self._of_each_source()
        faults = await asyncio.gather(*(warming.afault_of(each.aget) for each in found.values()))
        return dict(zip(found, faults, strict=True))

    def _of_each_source(self) -> Mapping[str, Credential]:
        if self._samples[0] != self.catalog.revision:
            tenants = map(self.catalog.get, self._served())
            self._samples = self.catalog.revision, self._secrets.of_each_source(tenants)
        return self._samples[1]

    def _served(self) -> list[str]:
        return [name for name in self.tenants if not self.catalog.problems(name)]

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

    # -- within -----------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if self._closed:
            raise RegistryClosedError

    def _documents(self, name: str) -> list[Credential]:
        self._check_open()
        return self._secrets.documents(self.catalog.get(name))
