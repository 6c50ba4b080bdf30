"""A configuration that is read again: what would change, and how it is put in place."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from tenantry.catalog import (
    CatalogChange,
    LazyCatalog,
    MemoryCatalog,
    Snapshot,
    SnapshotCatalog,
)
from tenantry.catalog.snapshot import differs
from tenantry.errors import ConfigError, Problem, TenantDisabledError, UnknownTenantError
from tenantry.events import CatalogReloaded, ReloadRejected, TenantQuarantined
from tenantry.forks import survives_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from contextlib import AbstractContextManager

    from tenantry.catalog import Catalog
    from tenantry.clients import BuiltClients, EndpointClients, Sockets
    from tenantry.events import EventStream
    from tenantry.loading import Configuration, Contents, Tenant
    from tenantry.secrets import Secrets
    from tenantry.settings import RegistrySettings

    Read = Callable[[Contents | None], Configuration]


class Reloader:
    """Reads a registry's configuration again, and applies what changed, one at a time.

    Everything is read and validated before anything changes. Lives as long as the registry.

    Args:
        read: reads the whole configuration, from what was read of its files or from the files.
    """

    def __init__(
        self,
        read: Read,
        catalog: Catalog,
        secrets: Secrets,
        clients: BuiltClients,
        sockets: Sockets,
        events: EventStream,
        *,
        limits: RegistrySettings,
    ) -> None:
        self._read = read
        self._catalog = catalog
        self._secrets = secrets
        self._clients = clients
        self._sockets = sockets
        self._events = events
        self._limits = limits
        if isinstance(catalog, MemoryCatalog):
            catalog.on_change = self._put
        if isinstance(catalog, LazyCatalog):
            catalog.serve(self, secrets.schedule, secrets.submit)
        self.after_fork()
        survives_fork(self)

    def after_fork(self) -> None:
        """Take a new lock: the thread that may have held the old one is gone."""
        self._lock = threading.RLock()  # one reload at a time

    def _turn(self) -> AbstractContextManager[object]:
        """Return the lock of whoever changes the catalog."""
        catalog = self._catalog
        return (
            catalog.changing if isinstance(catalog, (LazyCatalog, SnapshotCatalog)) else self._lock
        )

    def plan(self) -> CatalogChange:
        """Return what a reload would change; changes nothing.

        Raises:
            ConfigError: the configuration cannot be used.
        """
        configuration = self._read(None)
        if isinstance(self._catalog, LazyCatalog):
            return self._catalog.planned(configuration.rows)
        if not isinstance(self._catalog, SnapshotCatalog):
            return CatalogChange()
        return self._after(configuration, self._catalog).change_from(self._catalog.snapshot)

    def reload(self, contents: Contents | None = None, *, force: bool = False) -> CatalogChange:
        """Read the configuration again and put it in place, whole or not at all.

        Raises:
            ConfigError: it cannot be used, or would remove too many tenants and `force` was not
                said; nothing changes.
        """
        with self._turn():
            try:
                configuration = self._read(contents)
                return self._apply(configuration, force=force)
            except ConfigError as error:
                self._events.publish(ReloadRejected("", error.problems))
                raise

    def reload_if_right(self, contents: Contents | None = None) -> None:
        """Do what `reload` does, for a caller who could not do anything about a problem.

        Hooks and the log hear of it: `ReloadRejected`.
        """
        with contextlib.suppress(ConfigError):
            self.reload(contents)

    def _apply(self, configuration: Configuration, *, force: bool) -> CatalogChange:
        catalog = self._catalog
        if not isinstance(catalog, SnapshotCatalog):
            self._take_process_settings(configuration)
            return _laid(configuration, catalog)
        before, after = catalog.snapshot, self._after(configuration, catalog)
        if not force:
            self._check_removals(before, after)
        self._take_process_settings(configuration)
        change = catalog.swap(after)
        self.changed(before, after, change)
        return change

    def _after(self, configuration: Configuration, catalog: SnapshotCatalog) -> Snapshot:
        said = Snapshot(configuration.tenants, configuration.quarantined)
        if isinstance(catalog, MemoryCatalog):
            said = catalog.overlaid(said, configuration.rows)
        return said.after(catalog.snapshot, configuration.disabled)

    def _check_removals(self, before: Snapshot, after: Snapshot) -> None:
        """Refuse to remove many tenants at once: of a truncated file most look like that.

        Raises:
            ConfigError: saying how to do it all the same.
        """
        removed = after.change_from(before).removed
        share = self._limits.max_removals
        if len(removed) > max(1, int(share * len(before.names()))):
            reason = f"would remove {len(removed)} of {len(before.names())} tenants at once"
            hint = (
                f"registry.max_removals allows {share:.0%}, and at least 1:"
                " say reload(force=True) if it is meant"
            )
            raise ConfigError(Problem(reason, "tenants", hint=hint))

    def _take_process_settings(self, configuration: Configuration) -> None:
        self._limits = configuration.registry
        self._clients.idle_after = configuration.registry.idle_after
        self._clients.limit = configuration.registry.max_clients
        self._sockets.limit = configuration.registry.max_sockets
        if self._secrets.declare(configuration.sources):
            for clients in self._clients.built():
                if not self._asks_as_before(clients):
                    self._clients.evict(clients, "changed")

    def _asks_as_before(self, clients: EndpointClients) -> bool:
        """Whether clients' secrets come from where they would come from now."""
        now = self._secrets.credentials(clients.tenant, clients.settings)
        then = clients.credentials
        return all(now[path].keeper is then[path].keeper for path in then)

    def _put(self, before: Snapshot, after: Snapshot) -> None:
        """Apply what code changed in a catalog in memory."""
        with self._turn():
            self.changed(before, after, after.change_from(before))

    # -- what a lazy catalog asks of who serves its tenants ---------------------------------------

    def in_use(self) -> Collection[str]:
        """Return the names of who has clients, here or in somebody's hands."""
        return {clients.tenant for clients in self._clients}

    def forgotten(self, tenant: Tenant) -> None:
        """Let go of the secrets of a tenant that was not used for long."""
        self._secrets.exchange(tenant, None)

    def distrusted(self) -> None:
        """Hand out nobody's clients any more; who holds one keeps a working one."""
        for clients in self._clients.built():
            self._clients.evict(clients, "distrusted")

    # -- what a change means for clients and secrets ----------------------------------------------

    def changed(self, before: Snapshot, after: Snapshot, change: CatalogChange) -> None:
        """Do for clients and secrets what a change of tenants that were loaded means."""
        for name in change.removed:
            self._remove(name, before.tenants.get(name))
        for name in (*change.added, *change.changed):
            then, now = before.tenants.get(name), after.tenants.get(name)
            if then is not None and now is not None and differs(then, now):
                self._change(then, now)
        self._tell(before, after, change)

    def _remove(self, name: str, tenant: Tenant | None) -> None:
        self._clients.shut(name, lambda: UnknownTenantError(name))
        self._clients.evict_tenant(name, "removed")
        if tenant is not None:
            self._drop_secrets(tenant)

    def _drop_secrets(self, tenant: Tenant) -> None:
        for keeper in self._secrets.exchange(tenant, None):
            keeper.forget()

    def _change(self, then: Tenant, now: Tenant) -> None:
        name = now.name
        if not now.settings.enabled:
            self._clients.shut(name, lambda: TenantDisabledError(name))
            self._clients.evict_tenant(name, "disabled")
            self._drop_secrets(then)
            return
        if not then.settings.enabled:
            self._clients.reopen(name)
        for clients in self._clients.of(name):
            settings = now.endpoints.get(clients.endpoint) if clients.endpoint else now.settings
            if settings is None or not clients.serves(settings):
                self._clients.evict(clients, "changed")
        self._secrets.exchange(then, now)
        if now.settings.rotated_at != then.settings.rotated_at:
            self._secrets.outdate(name, now.settings)

    def _tell(self, before: Snapshot, after: Snapshot, change: CatalogChange) -> None:
        newly = {
            name: problems
            for name, problems in after.quarantined.items()
            if before.quarantined.get(name) != problems
        }
        for name, problems in newly.items():
            self._events.publish(TenantQuarantined(name, problems))
        if change.added or change.changed or change.removed or newly:
            event = CatalogReloaded(
                "",
                added=change.added,
                changed=change.changed,
                removed=change.removed,
                rejected=tuple(change.rejected),
            )
            self._events.publish(event)


def _laid(configuration: Configuration, catalog: Catalog) -> CatalogChange:
    """Have the tenants of an engine read in new layers: those that are loaded now, others later."""
    if not isinstance(catalog, LazyCatalog):
        return CatalogChange()
    engine = configuration.engine
    if engine is not None:
        stale = configuration.registry.max_catalog_stale
        catalog.obey(cache=engine.cache, poll=engine.poll, max_stale=stale)
    return catalog.lay(configuration.rows)
