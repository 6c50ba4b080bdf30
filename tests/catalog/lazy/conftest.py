"""An engine in memory, and a catalog over it at an hour of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from tenantry.catalog import CatalogChange, LazyCatalog, Snapshot
from tenantry.catalog.engine import Changed, Row
from tenantry.errors import CatalogUnavailableError
from tenantry.events import Event, EventStream
from tenantry.loading import RowReader, load
from tenantry.sources import kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tenantry.loading import Tenant

    Layers: TypeAlias = Callable[..., RowReader]

KEY = {"api_key": {"env": "KEY"}}


def rows(**defaults: Any) -> RowReader:
    said = {"allow": {}, "defaults": {**KEY, **defaults}}
    return load(said, environ={}, kinds=kinds(), tenants_needed=False).rows


class Shelf:
    """An engine in memory that counts what it is asked, and can be away."""

    origin = "shelf"

    def __init__(self, **tenants: dict[str, Any]) -> None:
        self.now = 0
        self.kept: dict[str, Row] = {}
        self.history: list[tuple[int, str]] = []
        self.asked: list[str] = []  # rows, by name
        self.polls = 0
        self.away = ""
        self.trimmed = False
        self.before_row: Callable[[], object] = bool
        self.after_row: Callable[[], object] = bool
        self.on_call: Callable[[], None] | None = None
        for name, said in tenants.items():
            self.put(name, said)

    def put(self, name: str, said: dict[str, Any] | None = None) -> None:
        self.now += 1
        self.kept[name] = Row(name, said or {}, self.now)
        self.history.append((self.now, name))

    def remove(self, name: str) -> None:
        self.now += 1
        del self.kept[name]
        self.history.append((self.now, name))

    def answer(self) -> None:
        if self.away:
            raise CatalogUnavailableError(self.origin, reason=self.away)

    def revision(self, timeout: float) -> int:
        self.polls += 1
        self.answer()
        return self.now

    def row(self, name: str, timeout: float) -> Row | None:
        self.asked.append(name)
        self.before_row()
        self.answer()
        row = self.kept.get(name)
        self.after_row()
        return row

    def changed(self, since: int, timeout: float) -> Changed:
        self.polls += 1
        self.answer()
        names = {name for revision, name in self.history if revision > since}
        return Changed(self.now, None if self.trimmed else names)

    def count(self, timeout: float) -> int:
        return len(self.kept)

    def names(self, after: str, limit: int, timeout: float) -> list[str]:
        return [name for name in sorted(self.kept) if name > after][:limit]

    def rows(self, after: str, limit: int, timeout: float) -> list[Row]:
        self.answer()
        return [self.kept[name] for name in self.names(after, limit, timeout)]

    def listen(self, woken: Callable[[], None]) -> None:
        self.on_call = woken

    def close(self) -> None:
        self.away = "it is closed"


class Book:
    """Who serves the tenants, for a test: writes down what is told; is its own schedule."""

    def __init__(self) -> None:
        self.clients: set[str] = set()
        self.changes: list[CatalogChange] = []
        self.gone: list[str] = []
        self.distrusts = 0
        self.jobs: list[Callable[[], None]] = []
        self.calls: list[float] = []

    def in_use(self) -> Collection[str]:
        return self.clients

    def changed(self, before: Snapshot, after: Snapshot, change: CatalogChange) -> None:
        assert change == after.change_from(before)
        if change:
            self.changes.append(change)

    def forgotten(self, tenant: Tenant) -> None:
        self.gone.append(tenant.name)

    def distrusted(self) -> None:
        self.distrusts += 1

    def submit(self, lane: str, job: Callable[[], None]) -> None:
        assert lane in ("catalog", "catalog-poll")
        self.jobs.append(job)

    def at(self, when: float, thing: object) -> None:
        self.calls.append(when)

    def work(self) -> None:
        while self.jobs:
            self.jobs.pop(0)()


class Estate:
    """A catalog over a shelf, at an hour of its own."""

    def __init__(self, *, cache: int = 10, max_stale: float | None = None) -> None:
        self.hour = 100.0
        self.shelf = Shelf(acme={"max_retries": 1}, globex={}, wrong={"max_retries": "many"})
        self.heard: list[Event] = []
        events: Any = EventStream()
        events.publish = self.heard.append
        engine: Any = self.shelf
        self.catalog = LazyCatalog(
            engine,
            rows(),
            events,
            cache=cache,
            poll=2,
            max_stale=max_stale,
            clock=lambda: self.hour,
        )
        self.book = Book()
        schedule: Any = self.book
        self.catalog.serve(self.book, schedule, self.book.submit)
        self.book.work()

    def retries(self, name: str) -> int | None:
        return self.catalog.get(name).settings.max_retries


@pytest.fixture
def estate() -> Estate:
    return Estate()


@pytest.fixture
def small() -> Estate:
    """One that keeps two tenants in memory."""
    return Estate(cache=2)


@pytest.fixture
def strict() -> Estate:
    """One that trusts what it has for a minute."""
    return Estate(max_stale=60)


@pytest.fixture
def layers() -> Layers:
    """What reads rows in other layers."""
    return rows
