"""What operators ask of a registry: what it knows, what would change, fetch now, is it ready."""

from __future__ import annotations

import asyncio
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from tenantry import warming
from tenantry.catalog import LazyCatalog
from tenantry.control import ControlServer
from tenantry.errors import (
    CatalogUnavailableError,
    OptionNotAllowedError,
    RegistryClosedError,
    TenantryError,
)
from tenantry.events import EventStream, TenantQuarantined
from tenantry.loading import explain
from tenantry.signals import OnSignal
from tenantry.status import TenantStatus, status_of
from tenantry.usage import TenantUsage, usage_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from tenantry.catalog import Catalog, CatalogChange
    from tenantry.clients import BuiltClients
    from tenantry.credential import Credential
    from tenantry.events import Hook
    from tenantry.loading import Setting
    from tenantry.reloading import Reloader
    from tenantry.secrets import Secrets

CATALOG = "(catalog)"  # which no source can be called
LONGEST_PIN = 604_800.0  # seconds; who wants a version for good says so in the reference


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
        self._listeners: list[OnSignal | ControlServer] = []
        self._samples: tuple[int, Mapping[str, Credential]] = (0, {})  # of a catalog's revision

    @property
    def closed(self) -> bool:
        """Whether the registry was closed: it hands out nothing any more."""
        return self._closed

    # -- knowing ----------------------------------------------------------------------------------

    @property
    def tenants(self) -> Collection[str]:
        """The names of all tenants: `in`, `len` and iteration.

        Where tenants stand in an engine these ask it, and iteration reads page after page.
        """
        return self.catalog.names()

    def loaded_names(self) -> Collection[str]:
        """Return the names of all tenants; of an engine's, those that are loaded."""
        catalog = self.catalog
        return catalog.loaded_names() if isinstance(catalog, LazyCatalog) else catalog.names()

    def names_in_use(self) -> Collection[str]:
        """Return the names of those tenants for whom a secret was wanted, however long ago."""
        users = self._secrets.users()
        return [name for name in self.loaded_names() if name in users]

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

    def in_use(self) -> list[TenantUsage]:
        """Return the clients and held secrets of tenants that have any; builds and asks nothing."""
        return usage_of(self._clients, self._secrets.expiries())

    def subscribe(self, hook: Hook, *, requests: bool = False) -> Callable[[], None]:
        """Send every event to `hook`, on a thread of its own; returns what ends it.

        With `requests`, a `RequestAnswered` for every request, too, which the response of
        `with_raw_response` then has as `http_response.extensions["tenantry"]`. That costs each
        request of this process some microseconds.
        """
        return self._events.subscribe(hook, self._in_quarantine(), requests=requests)

    def on_request(self, hook: Callable[[str], None]) -> Callable[[], None]:
        """Call `hook` with the tenant's name as each request begins; returns what ends that.

        It runs where the request does, in its thread or task and context: to mark the current span.
        It must not wait. What it raises is logged once, and fails no request.
        """
        return self._events.before_requests(hook)

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
        listener = OnSignal(signum, self._reloader.reload_if_right)
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

    def pin(self, tenant: str, version: str, *, seconds: float, setting: str = "") -> None:
        """Let one version of a tenant's credential serve for a while, whatever is newer.

        It is held in memory and ends by itself: after `seconds`, with the secret's own expiry, at
        `unpin`, or by `refresh(drop_previous=True)`. Tenants that share the document are served it,
        too. A 401 is handed on meanwhile, not answered with another version.

        Args:
            tenant: the tenant's name.
            version: as the source calls it, such as "6" in Vault; looked for among what is held,
                else asked for where the source has versions.
            seconds: how long; a week at most.
            setting: which of the tenant's credentials, by its key; `api_key` by default, else the
                only one.

        Raises:
            SourceError: it cannot be had; nothing changes.
            OptionNotAllowedError: the tenant has no such credential, or it would be too long.
        """
        self._to_pin(tenant, setting, seconds).pin(version, seconds)

    async def apin(self, tenant: str, version: str, *, seconds: float, setting: str = "") -> None:
        """Do what `pin` does, without holding up the event loop."""
        await self._to_pin(tenant, setting, seconds).apin(version, seconds)

    def unpin(self, tenant: str) -> bool:
        """Let the newest values of a tenant's credentials serve; return whether any was pinned."""
        return sum(credential.unpin() for credential in self._documents(tenant)) > 0

    def _to_pin(self, name: str, setting: str, seconds: float) -> Credential:
        """Return the credential that somebody wants to pin."""
        self._check_open()
        if not 0 < seconds <= LONGEST_PIN:
            reason = f"is {seconds:g}: a pin ends by itself"
            allowed = ("more than 0", f"at most {LONGEST_PIN:g}")
            raise OptionNotAllowedError("seconds", allowed=allowed, reason=reason)
        found = self._secrets.credentials(name, self.catalog.get(name).settings)
        chosen = setting or ("api_key" if len(found) != 1 else next(iter(found)))
        if chosen not in found:
            reason = f"is no credential of tenant {name!r}"
            raise OptionNotAllowedError(chosen, allowed=tuple(found), reason=reason)
        return found[chosen]

    def warm(
        self,
        tenants: Iterable[str] | None = None,
        *,
        concurrency: int = 8,
        timeout: float = 30.0,
    ) -> dict[str, TenantryError | None]:
        """Fetch what tenants need before a request wants it.

        Args:
            tenants: their names; all by default, of an engine's those that are loaded.
            concurrency: how many at a time.
            timeout: seconds for all of them.

        Returns:
            What went wrong, or None, by the tenant's name. Nothing is raised for a tenant.
        """
        names = self.loaded_names() if tenants is None else tenants
        return warming.warm(names, self._documents, concurrency=concurrency, timeout=timeout)

    async def awarm(
        self,
        tenants: Iterable[str] | None = None,
        *,
        concurrency: int = 8,
        timeout: float = 30.0,  # noqa: ASYNC109  # the pair of `warm`; each tenant has its outcome
    ) -> dict[str, TenantryError | None]:
        """Do what `warm` does, without holding up the event loop."""
        names = self.loaded_names() if tenants is None else tenants
        return await warming.awarm(names, self._documents, concurrency=concurrency, limit=timeout)

    # -- control ----------------------------------------------------------------------------------

    def serve_control(self, directory: str | Path) -> Callable[[], None]:
        """Answer operators at `DIR/<pid>.sock`, for `tenantry keys --attach DIR`.

        The socket belongs to this user alone, in a directory that does so, and no secret passes
        through it. Children that are forked serve their own. Returns what ends it; so does `close`.

        Raises:
            ConfigError: the directory belongs to others, lets them in, or cannot be made.
        """
        self._check_open()
        server = ControlServer(Path(directory), self)
        self._listeners.append(server)
        weakref.finalize(self, server.stop)
        return server.stop

    # -- readiness --------------------------------------------------------------------------------

    def ready(self) -> dict[str, TenantryError | None]:
        """Say of each declared source whether it delivers; asks those that never did, and waits.

        Of each source one tenant's secret is looked at, the first that has one there. Where a value
        is held nobody is asked, so that this may be called as often as an orchestrator likes. Of an
        engine's tenants some are looked at; that it is away is no fault while any are loaded.

        Returns:
            What is wrong, or None, by the source's name; sources that no tenant uses are left out.
            Under `(catalog)`, why no tenant can be read.
        """
        self._check_open()
        try:
            found = self._of_each_source()
        except CatalogUnavailableError as error:
            return {CATALOG: error}
        for credential in found.values():
            credential.prefetch()
        return {name: warming.fault_of(each.get) for name, each in found.items()}

    async def aready(self) -> dict[str, TenantryError | None]:
        """Do what `ready` does, without holding up the event loop."""
        self._check_open()
        try:
            found = await self._aof_each_source()
        except CatalogUnavailableError as error:
            return {CATALOG: error}
        faults = await asyncio.gather(*(warming.afault_of(each.aget) for each in found.values()))
        return dict(zip(found, faults, strict=True))

    def _of_each_source(self) -> Mapping[str, Credential]:
        catalog = self.catalog
        if isinstance(catalog, LazyCatalog):
            return self._secrets.of_each_source(catalog.sample())
        if self._samples[0] != catalog.revision:
            tenants = map(catalog.get, self._served())
            self._samples = catalog.revision, self._secrets.of_each_source(tenants)
        return self._samples[1]

    async def _aof_each_source(self) -> Mapping[str, Credential]:
        if isinstance(self.catalog, LazyCatalog):
            return await asyncio.to_thread(self._of_each_source)
        return self._of_each_source()

    def _served(self) -> list[str]:
        return [name for name in self.loaded_names() if not self.catalog.problems(name)]

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

    def _in_quarantine(self) -> list[TenantQuarantined]:
        found = ((name, self.catalog.problems(name)) for name in self.loaded_names())
        return [TenantQuarantined(name, problems) for name, problems in found if problems]

    def _check_open(self) -> None:
        if self._closed:
            raise RegistryClosedError

    def _documents(self, name: str) -> list[Credential]:
        self._check_open()
        return self._secrets.documents(self.catalog.get(name))
