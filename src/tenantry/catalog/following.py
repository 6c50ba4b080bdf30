"""Learning who changed in an engine: by polling it, and sooner where it calls."""

from __future__ import annotations

import logging
import random
import threading
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Protocol

from tenantry.catalog.engine import Changed
from tenantry.catalog.snapshot import CHANGES_KEPT
from tenantry.errors import CatalogUnavailableError, TenantryError
from tenantry.forks import once_all_began_anew, survives_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from tenantry.catalog.base import CatalogChange
    from tenantry.catalog.engine import Engine, Listener, Row
    from tenantry.catalog.loaded import Entry, Loaded
    from tenantry.catalog.outage import Outage
    from tenantry.catalog.snapshot import Snapshot
    from tenantry.loading import Tenant
    from tenantry.schedule import Schedule

    Submit = Callable[[str, Callable[[], None]], None]

log = logging.getLogger("tenantry")

LANE = "catalog-poll"  # of its own: it must not wait behind reads
TIMEOUT = 5.0
NAMES_KEPT = 10_000  # of one look, for `changes`
AT_ONCE = 100  # changed tenants that are read before they are put in place


class Owner(Protocol):
    """Whoever serves the tenants of a catalog, and acts on what happens to them."""

    def in_use(self) -> Collection[str]:
        """Return the names of who has clients: they stay in memory, and are followed."""
        ...

    def changed(self, before: Snapshot, after: Snapshot, change: CatalogChange) -> None:
        """Act on other settings, or none, of tenants that were loaded."""
        ...

    def forgotten(self, tenant: Tenant) -> None:
        """Let go of what is held for a tenant that was not used for long."""
        ...

    def distrusted(self) -> None:
        """Hand out nobody's clients any more, for nobody knows who may have changed."""
        ...


class Follower:
    """Reads those again that are loaded and changed; lives as long as its catalog.

    Goes on in forked children. `poll` may be called by anybody, at any time.

    Args:
        read: makes an entry of what the engine has of a name.
        every: seconds between two looks, of which chance takes or adds a quarter.
    """

    def __init__(
        self,
        engine: Engine,
        loaded: Loaded,
        outage: Outage,
        read: Callable[[str, Row | None], Entry],
        every: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.every = every
        self.owner: Owner | None = None
        self.revision: int | None = None  # up to which everything is known
        self._engine = engine
        self._loaded = loaded
        self._outage = outage
        self._read = read
        self._clock = clock
        self._changes: deque[tuple[int, frozenset[str]]] = deque(maxlen=CHANGES_KEPT)  # after each
        self._schedule: Schedule | None = None
        self._submit: Submit | None = None
        self._listener: Listener | None = None  # goes on in children by itself
        self.after_fork()
        survives_fork(self)

    def after_fork(self) -> None:
        """Take new locks, and look from this process, too."""
        self.changing = threading.RLock()  # whoever puts others in place of entries holds this
        self._next = 0.0  # the instant of the next look
        self._asked = False  # whether a look waits for its thread
        if self._schedule is not None:
            once_all_began_anew(self._begin)

    # -- when -------------------------------------------------------------------------------------

    def start(self, schedule: Schedule, submit: Submit) -> None:
        """Look now, and every so often, on threads of others."""
        self._schedule, self._submit = schedule, submit
        self._begin()

    def _begin(self) -> None:
        if self._listener is None:
            self._listen()
        self.wake()

    def _listen(self) -> None:
        """Be woken by the engine, too; its thread must not keep alive what nobody else holds."""
        wake = weakref.WeakMethod(self.wake)

        def woken() -> None:
            if (alive := wake()) is not None:
                alive()

        self._listener = self._engine.listen(woken)
        if self._listener is not None:
            weakref.finalize(self, self._listener.stop).atexit = False

    def close(self) -> None:
        self._schedule = None
        if self._listener is not None:
            self._listener.close()

    def due(self) -> None:
        if self._clock() >= self._next:  # else a look came between, or a parent asked for this
            self.wake()

    def wake(self) -> None:
        """Look as soon as a thread is free; never blocks."""
        if self._submit is not None and self._schedule is not None and not self._asked:
            self._asked = True
            try:
                self._submit(LANE, self._look)
            except RuntimeError:  # the process can have no more threads
                self._asked = False
                self._again()

    def _look(self) -> None:
        self._asked = False
        try:
            self.poll()
        finally:
            self._again()

    def _again(self) -> None:
        if self._schedule is not None:
            pause = self.every * random.uniform(0.75, 1.25)  # noqa: S311  # spreads load
            self._next = self._clock() + pause
            self._schedule.at(self._next, self)

    # -- what -------------------------------------------------------------------------------------

    def poll(self) -> None:
        """Look once, and act on what changed; where the engine is away, note that."""
        with self.changing:
            try:
                self._follow(self._changed())
            except CatalogUnavailableError as error:
                self.failed(error.reason)
            except TenantryError as error:  # such as tables that are not there
                self.failed(str(error))
            else:
                self._outage.ended(self._clock())

    def failed(self, reason: str) -> None:
        """Note that the engine did not answer."""
        dice = random.random()  # noqa: S311  # spreads load
        if self._outage.failed(reason, self._clock(), dice) and self.owner is not None:
            self.owner.distrusted()

    def _changed(self) -> Changed:
        seen = self.revision
        if seen is None:
            return Changed(self._engine.revision(TIMEOUT), None)
        found = self._engine.changed(seen, TIMEOUT)
        # A smaller revision is that of another database, or of a backup.
        return found if found.revision >= seen else Changed(found.revision, None)

    def _follow(self, changed: Changed) -> None:
        floor = 0 if changed.names is None or self.revision is None else self.revision + 1
        names = self._loaded.doubt(changed.names, floor)
        for start in range(0, len(names), AT_ONCE):
            rows = [(name, self._row(name, floor)) for name in names[start : start + AT_ONCE]]
            self.put([self._read(name, row) for name, row in rows])
        self._remember(changed)
        self.trim(thorough=True)

    def _row(self, name: str, floor: int) -> Row | None:
        row = self._engine.row(name, TIMEOUT)
        if row is not None and row.revision < floor:
            reason = "it answers with less than it had said: a copy that lags behind"
            raise CatalogUnavailableError(self._engine.origin, reason=reason)
        return row

    def put(self, entries: Iterable[Entry]) -> CatalogChange:
        """Put other entries in place of those that are loaded, and act on what is different."""
        with self.changing:
            before, after = self._loaded.swap(entries)
            change = after.change_from(before)
            if self.owner is not None:
                self.owner.changed(before, after, change)
        return change

    def trim(self, *, thorough: bool = False) -> None:
        """Forget who was not used for long, where there are more than are kept."""
        if self.owner is not None:
            for tenant in self._loaded.trim(self.owner.in_use, thorough=thorough):
                self.owner.forgotten(tenant)

    def _remember(self, changed: Changed) -> None:
        if changed.names is None or self.revision is None or len(changed.names) > NAMES_KEPT:
            self._changes.clear()
        elif changed.revision > self.revision:
            self._changes.append((self.revision, frozenset(changed.names)))
        self.revision = changed.revision

    def changes(self, since: int) -> Collection[str] | None:
        """Return who changed after a revision; None where that is too long ago to know."""
        if self.revision is None or since >= self.revision:
            return None if self.revision is None else ()
        known = list(self._changes)
        if not known or since < known[0][0]:
            return None
        # The look that began at or before `since` may tell of a few who changed before it.
        begun = max(start for start, _ in known if start <= since)
        return frozenset[str]().union(*(names for start, names in known if start >= begun))
