"""What is in memory of an engine: who was lately used, who is absent, who is on the way."""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tenantry.catalog.snapshot import Snapshot
from tenantry.errors import TenantQuarantinedError, UnknownTenantError
from tenantry.forks import survives_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from tenantry.catalog.engine import Row
    from tenantry.errors import Problem
    from tenantry.loading import Tenant

ABSENT_KEPT = 10_000  # names that nobody has
SLACK = 0.02  # of the limit may be above it: looking for who is in use is then rare


@dataclass(frozen=True, slots=True)
class Entry:
    """What was read of one name: its row, and the tenant or what is wrong with it.

    A tenant may have problems and be served: with the last settings that were right.
    """

    name: str
    row: Row | None = None  # nobody has that name
    tenant: Tenant | None = None
    problems: tuple[Problem, ...] = ()

    def served(self) -> Tenant:
        """Return the tenant.

        Raises:
            UnknownTenantError: nobody has that name.
            TenantQuarantinedError: its own settings are wrong, and were never right.
        """
        if self.tenant is not None:
            return self.tenant
        if self.row is None:
            raise UnknownTenantError(self.name)
        raise TenantQuarantinedError(self.name, self.problems)

    def since(self, before: Entry | None) -> Entry:
        """Return this entry with the last settings that were right, where its own are wrong."""
        tenant = None if before is None else before.tenant
        if self.row is None or self.tenant is not None or tenant is None:
            return self
        if self.row.said.get("enabled") is False:
            settings = tenant.settings.model_copy(update={"enabled": False})
            tenant = replace(tenant, settings=settings)
        return replace(self, tenant=tenant)


class Load:
    """One name on its way into memory, and everybody who waits for it.

    `floor` is the least revision that may be put in place, `doubts` how often somebody learned
    meanwhile that it changed.
    """

    __slots__ = ("doubts", "floor", "landed")

    def __init__(self) -> None:
        self.landed: Future[Entry] = Future()
        self.floor = 0
        self.doubts = 0

    def doubt(self, floor: int) -> None:
        self.floor = max(self.floor, floor)
        self.doubts += 1

    def trusts(self, row: Row | None, doubts: int) -> bool:
        """Whether what was read is not older than what is known; `doubts` are those of before."""
        return self.doubts == doubts and (row is None or row.revision >= self.floor)


class Loaded:
    """Entries by name; above `limit` the longest unused are forgotten, but for those in use.

    Args:
        limit: entries that are kept.
        absent_for: seconds that it is believed that nobody has a name.
    """

    def __init__(self, limit: int, absent_for: float) -> None:
        self.limit = limit
        self._absent_for = absent_for
        self._entries: OrderedDict[str, Entry] = OrderedDict()  # the longest unused first
        self._absent: OrderedDict[str, float] = OrderedDict()  # until when
        self._room = 0  # above which it is worth looking for who can be forgotten
        self.after_fork()
        survives_fork(self)

    def after_fork(self) -> None:
        """Take a new lock, and forget who was on the way: the threads that read are gone."""
        self._lock = threading.Lock()  # guards all
        self._loads: dict[str, Load] = {}

    def find(self, name: str, now: float) -> Entry | None:
        """Return what is known of a name; None where it has to be read."""
        with self._lock:
            return self._found(name, now)

    def _found(self, name: str, now: float) -> Entry | None:
        entry = self._entries.get(name)
        if entry is not None:
            self._entries.move_to_end(name)
            return entry
        return Entry(name) if now < self._absent.get(name, 0.0) else None

    def begin(self, name: str, now: float) -> tuple[Entry | None, Load, bool]:
        """Return what is known, else the load to wait for, and whether the caller has to read."""
        with self._lock:
            load = self._loads.get(name)
            found = self._found(name, now)
            if found is not None or load is not None:
                return found, load or Load(), False
            load = self._loads[name] = Load()
            return None, load, True

    def place(self, entry: Entry, load: Load, doubts: int, now: float) -> Entry | None:
        """Put in place what was read; None where it may be outdated, and has to be read again."""
        with self._lock:
            if not load.trusts(entry.row, doubts):
                return None
            if entry.row is not None:
                self._absent.pop(entry.name, None)
                return self._entries.setdefault(entry.name, entry)
            self._absent[entry.name] = now + self._absent_for
            if len(self._absent) > ABSENT_KEPT:
                self._absent.popitem(last=False)
            return entry

    def end(self, name: str) -> None:
        """Note that a name is not on its way any more."""
        with self._lock:
            self._loads.pop(name, None)

    def doubt(self, names: Collection[str] | None, floor: int) -> list[str]:
        """Note who changed, or that anybody may have; returns whose entries have to be read again.

        Who is on the way is read again, and who was absent may have come.
        """
        with self._lock:
            for name in list(self._loads) if names is None else names:
                if name in self._loads:
                    self._loads[name].doubt(floor)
            if names is None:
                self._absent.clear()
                return list(self._entries)
            for name in names:
                self._absent.pop(name, None)
            return [name for name in names if name in self._entries]

    def entries(self) -> list[Entry]:
        with self._lock:
            return list(self._entries.values())

    def swap(self, entries: Iterable[Entry]) -> tuple[Snapshot, Snapshot]:
        """Put other entries in place of those that are there; returns what was, and what is."""
        before, after = list[Entry](), list[Entry]()
        with self._lock:
            for entry in entries:
                old = self._entries.get(entry.name)
                if old is None:
                    continue  # forgotten meanwhile
                before.append(old)
                if entry.row is None:
                    del self._entries[entry.name]
                    continue
                self._entries[entry.name] = entry.since(old)
                after.append(self._entries[entry.name])
        return snapshot_of(before), snapshot_of(after)

    def trim(
        self, in_use: Callable[[], Collection[str]], *, thorough: bool = False
    ) -> list[Tenant]:
        """Forget the longest unused above the limit; returns them."""
        if len(self._entries) <= (self.limit if thorough else max(self._room, self.limit)):
            return []
        used = in_use()
        with self._lock:
            newest = next(reversed(self._entries), "")  # its clients may be on the way
            idle = [name for name in self._entries if name not in used and name != newest]
            gone = [self._entries.pop(name) for name in idle[: len(self._entries) - self.limit]]
            # Those in use may be more than the limit: then not every load looks for them.
            self._room = max(self.limit, len(self._entries)) + int(self.limit * SLACK)
        return [entry.tenant for entry in gone if entry.tenant is not None]

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __len__(self) -> int:
        return len(self._entries)


def snapshot_of(entries: Iterable[Entry]) -> Snapshot:
    """Return some entries as a catalog that holds everything in memory has them."""
    found = list(entries)
    tenants: Mapping[str, Tenant] = {
        each.name: each.tenant for each in found if each.tenant is not None
    }
    return Snapshot(tenants, {each.name: each.problems for each in found if each.problems})
