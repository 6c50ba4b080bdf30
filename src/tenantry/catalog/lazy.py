"""Tenants that an engine keeps: each is read when it is first used, and again when it changed."""

from __future__ import annotations

import asyncio
import random
import time
from concurrent.futures import Future
from itertools import islice
from typing import TYPE_CHECKING, Self, TypeVar

from tenantry.catalog.following import Follower
from tenantry.catalog.loaded import Entry, Loaded, snapshot_of
from tenantry.catalog.names import EngineNames
from tenantry.catalog.outage import Outage
from tenantry.catalog.transfer import all_rows
from tenantry.errors import (
    CatalogUnavailableError,
    ConfigError,
    TenantNotLoadedError,
    TenantryError,
)
from tenantry.events import TenantQuarantined
from tenantry.settings.tenant import TENANT_NAME

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Collection, Iterator

    from tenantry.catalog.base import CatalogChange
    from tenantry.catalog.engine import Engine, Row
    from tenantry.catalog.following import Owner, Submit
    from tenantry.catalog.loaded import Load
    from tenantry.catalog.memory import Rows
    from tenantry.errors import Problem
    from tenantry.events import EventStream
    from tenantry.loading import Tenant
    from tenantry.schedule import Schedule

T = TypeVar("T")

LANE = "catalog"
TIMEOUT = 1.0  # seconds that who wants a tenant waits
LISTING_TIMEOUT = 5.0
ABSENT_FOR = 3.0  # seconds that it is believed that nobody has a name
SAMPLE = 100  # tenants that speak for all


class LazyCatalog:
    """The tenants of an engine; holds those that were lately used, and polls for changes.

    What was read is served on while the engine is away. Lives as long as the registry that opened
    it; in a forked child it goes on polling.

    Args:
        engine: keeps the tenants.
        rows: reads what it keeps, in the layers of the configuration.
        events: where it is told what happened.
        cache: how many tenants are held.
        poll: seconds between two looks for changes.
        max_stale: seconds without an answer after which nothing is served; None is never.
    """

    def __init__(
        self,
        engine: Engine,
        rows: Rows,
        events: EventStream,
        *,
        cache: int = 10_000,
        poll: float = 2.0,
        max_stale: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.engine = engine
        self._rows = rows
        self._events = events
        self._clock = clock
        self._loaded = Loaded(cache, ABSENT_FOR)
        self._outage = Outage(engine.origin, events, clock(), max_stale)
        self._follower = Follower(engine, self._loaded, self._outage, self._read, poll, clock)
        self._page: tuple[int | None, list[Tenant]] = (None, [])  # as of a revision
        self._submit: Submit | None = None

    def __deepcopy__(self, memo: object) -> Self:
        # Containers copy what they are given; a catalog is shared, not copied.
        return self

    def __repr__(self) -> str:
        return f"<LazyCatalog {self.engine.origin}, {len(self._loaded)} tenants loaded>"

    # -- its life ---------------------------------------------------------------------------------

    def serve(self, owner: Owner, schedule: Schedule, submit: Submit) -> None:
        """Begin to look for changes, and tell `owner` of them; runs on threads of others."""
        self._submit = submit
        self._follower.owner = owner
        self._follower.start(schedule, submit)

    def poll(self) -> None:
        """Look for changes now, and put them in place before this returns."""
        self._follower.poll()

    @property
    def changing(self) -> threading.RLock:
        """What is held by whoever puts others in place of tenants."""
        return self._follower.changing

    def obey(self, *, cache: int, poll: float, max_stale: float | None) -> None:
        """Take other limits."""
        self._loaded.limit = cache
        self._follower.every = poll
        self._outage.max_stale = max_stale

    def planned(self, rows: Rows) -> CatalogChange:
        """Return what other layers would change of the tenants that are loaded."""
        before = self._loaded.entries()
        after = [entry.since(old) for entry, old in zip(self._again(rows), before, strict=False)]
        return snapshot_of(after).change_from(snapshot_of(before))

    def lay(self, rows: Rows) -> CatalogChange:
        """Read in other layers from now on, those too that are loaded."""
        with self.changing:
            self._rows = rows
            return self._follower.put(self._again(rows))

    def close(self) -> None:
        self._follower.close()
        self.engine.close()

    # -- reading ----------------------------------------------------------------------------------

    def get(self, name: str) -> Tenant:
        """Return a tenant; where it is not loaded, by one read of the engine of at most a second.

        Raises:
            UnknownTenantError: nobody has that name.
            TenantQuarantinedError: its own settings are wrong, and were never right.
            CatalogUnavailableError: it is not loaded, and the engine does not answer.
        """
        self._check_trust()
        return self._entry(name).served()

    async def aget(self, name: str) -> Tenant:
        """Do what `get` does, without holding up the event loop."""
        self._check_trust()
        found = self._loaded.find(name, self._clock())
        return (found or await self._off_the_loop(name)).served()

    def loaded(self, name: str) -> Tenant:
        """Do what `get` does, and read nothing.

        Raises:
            TenantNotLoadedError: it is not loaded.
        """
        self._check_trust()
        found = self._loaded.find(name, self._clock())
        if found is None:
            raise TenantNotLoadedError(name)
        return found.served()

    def names(self) -> EngineNames:
        return EngineNames(self.engine, self._has, LISTING_TIMEOUT)

    def loaded_names(self) -> Collection[str]:
        """Return the names of who is in memory, those in quarantine included."""
        return [entry.name for entry in self._loaded.entries()]

    def problems(self, name: str) -> tuple[Problem, ...]:
        """Return what is wrong with a tenant that is loaded; reads nothing."""
        found = self._loaded.find(name, self._clock())
        return () if found is None else found.problems

    def everybody(self) -> Iterator[Entry]:
        """Return all that the engine keeps, page after page; nothing of it stays in memory."""
        return (self._read(row.name, row) for row in all_rows(self.engine))

    def sample(self) -> Iterator[Tenant]:
        """Return some tenants that speak for all: of those loaded, then of the engine's first.

        Raises:
            CatalogUnavailableError: none is loaded, and none can be read.
        """
        self._check_trust()
        tenants = (entry.tenant for entry in self._loaded.entries())
        loaded = list(islice((tenant for tenant in tenants if tenant is not None), SAMPLE))
        yield from loaded
        try:
            yield from self._first()
        except CatalogUnavailableError:
            if not loaded:
                raise

    def _first(self) -> list[Tenant]:
        """Return the tenants of the engine's first page, which is read after a change only."""
        revision, tenants = self._page
        if revision is None or revision != self._follower.revision:
            revision = self._follower.revision
            rows = self._ask(lambda: self.engine.rows("", SAMPLE, TIMEOUT))
            found = (self._read(row.name, row).tenant for row in rows)
            tenants = [tenant for tenant in found if tenant is not None]
            self._page = revision, tenants
        return tenants

    @property
    def revision(self) -> int:
        return self._follower.revision or 0

    def changes(self, since: int) -> Collection[str] | None:
        return self._follower.changes(since)

    def _check_trust(self) -> None:
        if self._outage.distrusted:
            raise self._outage.error(self._clock())

    def _has(self, name: str) -> bool:
        return self._entry(name).row is not None

    def _entry(self, name: str) -> Entry:
        """Return what is known of a name, reading it where that is nothing."""
        if not TENANT_NAME.fullmatch(name):
            return Entry(name)
        found, load, leads = self._loaded.begin(name, self._clock())
        if found is not None:
            return found
        if leads:
            return self._lead(name, load)
        try:
            return load.landed.result(TIMEOUT)
        except TimeoutError:
            raise self._too_late() from None

    def _lead(self, name: str, load: Load) -> Entry:
        try:
            entry = self._load(name, load)
        except BaseException as error:
            # An interrupt is meant for this thread alone.
            known = error if isinstance(error, TenantryError) else self._too_late()
            self._loaded.end(name)
            load.landed.set_exception(known)
            raise
        self._loaded.end(name)
        load.landed.set_result(entry)
        self._follower.trim()
        return entry

    def _load(self, name: str, load: Load) -> Entry:
        deadline = self._clock() + TIMEOUT
        while (left := deadline - self._clock()) > 0:
            rows, doubts = self._rows, load.doubts
            entry = self._read(name, self._row(name, left), rows)
            if self._rows is not rows:
                continue  # its layers are others by now
            placed = self._loaded.place(entry, load, doubts, self._clock())
            if placed is not None:
                if placed.problems:
                    self._events.publish(TenantQuarantined(name, placed.problems))
                return placed
        raise self._too_late()

    def _row(self, name: str, timeout: float) -> Row | None:
        return self._ask(lambda: self.engine.row(name, timeout))

    def _ask(self, question: Callable[[], T]) -> T:
        """Ask the engine for somebody who waits: fails at once while it is known to be away."""
        self._outage.check(self._clock(), random.random())  # noqa: S311  # spreads load
        try:
            answer = question()
        except CatalogUnavailableError as error:
            self._follower.failed(error.reason)
            raise
        if self._outage.reason:
            self._outage.answered(self._clock())
            self._follower.wake()  # what changed meanwhile is not known yet
        return answer

    def _again(self, rows: Rows) -> list[Entry]:
        return [self._read(entry.name, entry.row, rows) for entry in self._loaded.entries()]

    def _read(self, name: str, row: Row | None, rows: Rows | None = None) -> Entry:
        if row is None:
            return Entry(name)
        origin = f"{self.engine.origin}:tenants/{name}"
        try:
            tenant = (rows or self._rows).read(name, row.said, origin)
        except ConfigError as error:
            return Entry(name, row, problems=error.problems)
        return Entry(name, row, tenant)

    def _too_late(self) -> CatalogUnavailableError:
        reason = f"no answer within {TIMEOUT:.0f} s"
        return CatalogUnavailableError(self.engine.origin, reason=reason)

    async def _off_the_loop(self, name: str) -> Entry:
        """Read a name on a thread; who gives up waiting takes nobody along."""
        if self._submit is None:
            return await asyncio.to_thread(self._entry, name)
        read: Future[Entry] = Future()

        def job() -> None:
            if read.set_running_or_notify_cancel():
                try:
                    read.set_result(self._entry(name))
                except TenantryError as error:
                    read.set_exception(error)
                except BaseException:
                    read.set_exception(self._too_late())
                    raise

        self._submit(LANE, job)
        return await asyncio.wrap_future(read)
