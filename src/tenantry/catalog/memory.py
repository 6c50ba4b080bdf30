"""Tenants in memory: what a mapping said at first, and what code has changed since."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Protocol

from tenantry.catalog.snapshot import Snapshot, SnapshotCatalog
from tenantry.errors import ConfigError, Problem, Site, UnknownTenantError
from tenantry.settings import folded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tenantry.loading import Tenant


class Rows(Protocol):
    """Reads what is said of one tenant, in the layers of a configuration."""

    def read(self, name: str, said: Mapping[str, Any], origin: str) -> Tenant:
        """Return the tenant.

        Raises:
            ConfigError: with everything that is wrong with it.
        """
        raise NotImplementedError


class MemoryCatalog(SnapshotCatalog):
    """Tenants that code may `put` and `remove` while they are served.

    What was put stays through every reload, which reads it again in the configuration's new layers.
    """

    def __init__(
        self,
        tenants: Mapping[str, Tenant] | None = None,
        quarantined: Mapping[str, tuple[Problem, ...]] | None = None,
        rows: Rows | None = None,
    ) -> None:
        super().__init__(tenants, quarantined)
        self._rows = rows
        self._said: dict[str, Mapping[str, Any] | None] = {}  # None was removed
        self.on_change: Callable[[Snapshot, Snapshot], None] | None = None

    def put(self, name: str, settings: Mapping[str, Any]) -> None:
        """Add a tenant, or give one other settings; requests in flight finish with the old ones.

        Args:
            name: the tenant's name.
            settings: what a file would say under `tenants: {NAME: ...}`. It may point at nothing
                but what `defaults`, `profiles` and `allow` name: see "A row is less trusted".

        Raises:
            ConfigError: with everything that is wrong; nothing changes.
        """
        with self.changing:
            tenant = self._read(name, settings)
            before = self.snapshot
            problems = {key: value for key, value in before.quarantined.items() if key != name}
            self._changed(Snapshot({**before.tenants, name: tenant}, problems))
            self._said[name] = copy.deepcopy(settings)  # the caller's is the caller's

    def remove(self, name: str) -> None:
        """Take a tenant away: its gates shut, and its secrets are dropped.

        Raises:
            UnknownTenantError: nobody has that name.
        """
        with self.changing:
            before = self.snapshot
            if name not in before.names():
                raise UnknownTenantError(name, self._suggestions(name))
            tenants = {key: value for key, value in before.tenants.items() if key != name}
            problems = {key: value for key, value in before.quarantined.items() if key != name}
            self._changed(Snapshot(tenants, problems))
            self._said[name] = None

    def overlaid(self, snapshot: Snapshot, rows: Rows) -> Snapshot:
        """Return a configuration's tenants with what code said of them laid over."""
        tenants, problems = dict(snapshot.tenants), dict(snapshot.quarantined)
        with self.changing:
            self._rows = rows
            for name, said in self._said.items():
                tenants.pop(name, None)
                problems.pop(name, None)
                if said is not None:
                    try:
                        tenants[name] = rows.read(name, said, _origin(name))
                    except ConfigError as error:
                        problems[name] = error.problems
        return Snapshot(tenants, problems)

    def _read(self, name: str, settings: Mapping[str, Any]) -> Tenant:
        if self._rows is None:
            reason = "this catalog belongs to no registry: open one with it first"
            raise ConfigError(Problem(reason, f"tenants.{name}"))
        twin = next((each for each in self.names() if folded(each) == folded(name)), name)
        if twin != name:
            reason = f"{name!r} and {twin!r} are the same name once case and `-_.` are folded"
            raise ConfigError(Problem(reason, f"tenants.{name}", Site(_origin(name))))
        return self._rows.read(name, settings, _origin(name))

    def _changed(self, after: Snapshot) -> None:
        before = self.snapshot
        self.swap(after)
        if self.on_change is not None:
            self.on_change(before, after)


def _origin(name: str) -> str:
    return f"catalog.put({name!r})"
