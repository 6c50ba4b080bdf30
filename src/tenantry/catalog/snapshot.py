"""All tenants at one instant: immutable, and swapped whole."""

from __future__ import annotations

import difflib
import threading
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from tenantry.catalog.base import CatalogChange
from tenantry.errors import TenantQuarantinedError, UnknownTenantError
from tenantry.forks import survives_fork
from tenantry.settings import folded

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tenantry.errors import Problem
    from tenantry.loading import Tenant

# Looking for a near name is for people, and takes time that grows with the catalog.
SUGGESTIONS_UP_TO = 10_000
CHANGES_KEPT = 100


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Tenants that can be served, and what is wrong with those whose settings are wrong.

    A tenant may be both: then it is served with the last settings that were right.
    """

    tenants: Mapping[str, Tenant] = field(default_factory=dict[str, "Tenant"])
    quarantined: Mapping[str, tuple[Problem, ...]] = field(
        default_factory=dict[str, "tuple[Problem, ...]"]
    )

    def names(self) -> Collection[str]:
        return {**self.tenants, **self.quarantined}.keys()

    def after(self, before: Snapshot, disabled: Collection[str] = ()) -> Snapshot:
        """Return this snapshot with what the quarantined had before; `disabled` ones stay so."""
        tenants = dict(self.tenants)
        for name in self.quarantined:
            tenant = before.tenants.get(name)
            if tenant is not None:
                tenants[name] = _disabled(tenant) if name in disabled else tenant
        return Snapshot(tenants, self.quarantined)

    def change_from(self, before: Snapshot) -> CatalogChange:
        mine, theirs = self.names(), before.names()
        return CatalogChange(
            added=tuple(name for name in mine if name not in theirs),
            changed=tuple(
                name
                for name, tenant in self.tenants.items()
                if name in theirs and differs(before.tenants.get(name), tenant)
            ),
            removed=tuple(name for name in theirs if name not in mine),
            rejected=dict(self.quarantined),
        )


def differs(before: Tenant | None, after: Tenant | None) -> bool:
    """Whether a tenant's settings, or those of an endpoint of it, are others; places do not count.

    A tenant that got out of quarantine and was never served before has changed, too.
    """
    if before is after:
        return False
    if before is None or after is None:
        return True
    return before.settings != after.settings or before.endpoints != after.endpoints


def _disabled(tenant: Tenant) -> Tenant:
    return replace(tenant, settings=tenant.settings.model_copy(update={"enabled": False}))


class SnapshotCatalog:
    """A catalog that holds everything in memory: reading it takes no lock."""

    def __init__(
        self,
        tenants: Mapping[str, Tenant] | None = None,
        quarantined: Mapping[str, tuple[Problem, ...]] | None = None,
    ) -> None:
        self.snapshot = Snapshot(tenants or {}, quarantined or {})
        self._revision = 1
        self._changes: deque[tuple[int, frozenset[str]]] = deque(maxlen=CHANGES_KEPT)
        self.after_fork()
        survives_fork(self)

    def __deepcopy__(self, memo: object) -> Self:
        # Containers copy what they are given; a catalog is shared, not copied.
        return self

    def after_fork(self) -> None:
        """Take a new lock: the thread that may have held the old one is gone."""
        self.changing = threading.RLock()  # whoever reads the snapshot to swap it holds this

    def get(self, name: str) -> Tenant:
        now = self.snapshot
        tenant = now.tenants.get(name)
        if tenant is not None:
            return tenant
        if name in now.quarantined:
            raise TenantQuarantinedError(name, now.quarantined[name])
        raise UnknownTenantError(name, self._suggestions(name))

    def names(self) -> Collection[str]:
        return self.snapshot.names()

    def problems(self, name: str) -> tuple[Problem, ...]:
        return self.snapshot.quarantined.get(name, ())

    @property
    def revision(self) -> int:
        return self._revision

    def changes(self, since: int) -> Collection[str] | None:
        oldest = self._revision - len(self._changes)
        if since < oldest:
            return None
        later = (names for revision, names in self._changes if revision > since)
        return frozenset[str]().union(*later)

    def swap(self, after: Snapshot) -> CatalogChange:
        """Put another snapshot in place; returns what is different."""
        change = after.change_from(self.snapshot)
        names = frozenset((*change.added, *change.changed, *change.removed))
        self.snapshot = after
        if names:
            self._changes.append((self._revision + 1, names))
            self._revision += 1
        return change

    def _suggestions(self, name: str) -> tuple[str, ...]:
        names = self.names()
        if len(names) > SUGGESTIONS_UP_TO:
            return ()
        spelled = {folded(each): each for each in names}
        near = difflib.get_close_matches(folded(name), spelled, 3)
        return tuple(spelled[each] for each in near)
