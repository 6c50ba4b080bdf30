"""Tenants in an SQLite file: many processes of one machine share it, and nothing has to run."""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from tenantry.catalog.engine import (
    MOST_CHANGES,
    SCHEMA_VERSION,
    Changed,
    Changes,
    HistoryEntry,
    Row,
    Write,
    checked_version,
    known,
    said_in,
    sorted_out,
    twins,
    unprepared,
)
from tenantry.errors import CatalogUnavailableError, ConfigError, Problem
from tenantry.forks import survives_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

ORIGIN: Final = "sqlite"
STEPS: Final = 10_000  # of SQLite's machine between two looks at the clock

CREATE: Final = """
CREATE TABLE IF NOT EXISTS tenantry_catalog (
    single INTEGER PRIMARY KEY CHECK (single = 1),
    version INTEGER NOT NULL,
    revision INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS tenantry_tenants (
    name TEXT PRIMARY KEY,
    folded TEXT NOT NULL UNIQUE,
    said TEXT NOT NULL CHECK (json_type(said) = 'object'),
    revision INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tenantry_changes (
    revision INTEGER NOT NULL,
    name TEXT NOT NULL,
    operation TEXT NOT NULL,
    who TEXT NOT NULL,
    at TEXT NOT NULL,
    said TEXT,
    PRIMARY KEY (revision, name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tenantry_changes_of ON tenantry_changes (name, revision DESC);
"""
REVISION: Final = "SELECT version, revision FROM tenantry_catalog"
CHANGED: Final = """
SELECT version, revision, coalesce((SELECT min(revision) FROM tenantry_changes), revision + 1)
FROM tenantry_catalog
"""
HISTORY: Final = """
SELECT revision, name, operation, who, at, said FROM tenantry_changes
WHERE ? IS NULL OR name = ? ORDER BY revision DESC, name LIMIT ?
"""
PUT: Final = """
INSERT INTO tenantry_tenants (name, folded, said, revision) VALUES (?, ?, ?, ?)
ON CONFLICT (name) DO UPDATE SET said = excluded.said, revision = excluded.revision
"""
RECORD: Final = """
INSERT INTO tenantry_changes (revision, name, operation, who, at, said) VALUES (?, ?, ?, ?, ?, ?)
"""


class SqliteEngine:
    """Tenants in tables of an SQLite file, in WAL mode: readers and the writer do not wait.

    It keeps two connections, so that a long write does not keep reads waiting.

    Args:
        path: the file; `prepare` makes it, in a directory that is there.
        now: what the history says the time is.
    """

    origin = ORIGIN

    def __init__(
        self, path: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._path = path
        self._now = now
        self._reads = _Link(path)
        self._works = _Link(path)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._path}>"

    def revision(self, timeout: float) -> int:
        version, revision = self._one(REVISION, (), timeout)
        checked_version(ORIGIN, version)
        return int(revision)

    def row(self, name: str, timeout: float) -> Row | None:
        ask = "SELECT name, said, revision FROM tenantry_tenants WHERE name = ?"
        found = self._all(ask, (name,), timeout)
        return _row(*found[0]) if found else None

    def changed(self, since: int, timeout: float) -> Changed:
        ask = "SELECT name FROM tenantry_changes WHERE revision > ? LIMIT ?"
        with self._reads.turn(timeout) as connection:
            connection.execute("BEGIN")  # one instant for both
            version, revision, oldest = _first(connection.execute(CHANGED))
            names = [name for (name,) in connection.execute(ask, (since, MOST_CHANGES + 1))]
            connection.execute("COMMIT")
        checked_version(ORIGIN, version)
        return known(since, revision, oldest, names)

    def count(self, timeout: float) -> int:
        return int(self._one("SELECT count(*) FROM tenantry_tenants", (), timeout)[0])

    def names(self, after: str, limit: int, timeout: float) -> list[str]:
        ask = "SELECT name FROM tenantry_tenants WHERE name > ? ORDER BY name LIMIT ?"
        return [name for (name,) in self._all(ask, (after, limit), timeout)]

    def rows(self, after: str, limit: int, timeout: float) -> list[Row]:
        ask = """SELECT name, said, revision FROM tenantry_tenants
                 WHERE name > ? ORDER BY name LIMIT ?"""
        return [_row(*each) for each in self._all(ask, (after, limit), timeout)]

    def history(self, name: str | None, limit: int, timeout: float) -> list[HistoryEntry]:
        return [_entry(*each) for each in self._all(HISTORY, (name, name, limit), timeout)]

    def write(self, writes: Sequence[Write], who: str, timeout: float) -> int:
        changes = sorted_out(writes)
        with self._works.turn(timeout) as connection:
            connection.execute("BEGIN IMMEDIATE")  # the one writer of the moment
            revision = _written(connection, changes, who, self._now().isoformat())
            connection.execute("COMMIT")
        return revision

    def prepare(self, timeout: float) -> int:
        if not self._path.parent.is_dir():
            message = f"there is no directory {self._path.parent}"
            raise ConfigError(Problem(message, "catalog.sqlite.path", hint="create it first"))
        with self._works.turn(timeout, create=True) as connection:
            connection.execute("PRAGMA journal_mode = WAL")  # stays with the file
            connection.executescript(f"BEGIN IMMEDIATE; {CREATE}")
            begin = "INSERT INTO tenantry_catalog VALUES (1, ?, 0) ON CONFLICT DO NOTHING"
            connection.execute(begin, (SCHEMA_VERSION,))
            (version,) = _first(connection.execute("SELECT version FROM tenantry_catalog"))
            connection.execute("COMMIT")
        return checked_version(ORIGIN, version)

    def listen(self, woken: Callable[[], None]) -> None:
        """Nobody calls: a poll of a local file costs next to nothing."""

    def close(self) -> None:
        for link in (self._reads, self._works):
            link.close()

    def _one(self, ask: str, values: tuple[Any, ...], timeout: float) -> tuple[Any, ...]:
        with self._reads.turn(timeout) as connection:
            return _first(connection.execute(ask, values))

    def _all(self, ask: str, values: tuple[Any, ...], timeout: float) -> list[tuple[Any, ...]]:
        with self._reads.turn(timeout) as connection:
            return connection.execute(ask, values).fetchall()


class _Link:
    """One connection that threads take turns on, opened anew after a failure or a fork."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._of_parents: list[object] = []
        self._begin()
        survives_fork(self)

    def _begin(self) -> None:
        self._turn = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._deadline = 0.0
        self._closed = False

    def after_fork(self) -> None:
        # To close it here would break the locks that the parent holds on the file: it is kept, and
        # never touched.
        self._of_parents.append(self._connection)
        self._begin()

    @contextmanager
    def turn(self, timeout: float, *, create: bool = False) -> Generator[sqlite3.Connection]:
        """Give the connection to one thread, for so many seconds."""
        deadline = time.monotonic() + timeout
        if not self._turn.acquire(timeout=timeout):
            raise CatalogUnavailableError(ORIGIN, reason=f"no answer within {timeout:g} s")
        try:
            self._deadline = deadline
            with self._worded():
                connection = self._opened(create=create)
                left = max(1, int((deadline - time.monotonic()) * 1000))
                connection.execute(f"PRAGMA busy_timeout = {left}")
                yield connection
        finally:
            self._turn.release()

    def close(self) -> None:
        with self._turn:
            self._closed = True
            self._drop()

    @contextmanager
    def _worded(self) -> Generator[None]:
        try:
            yield
        except sqlite3.Error as error:
            self._drop()
            if "no such table" in str(error) or not self._path.exists():
                raise unprepared(f"{ORIGIN} {self._path}") from None
            raise CatalogUnavailableError(ORIGIN, reason=f"{self._path}: {error}") from error
        except BaseException:
            self._drop()  # what was left half done must not meet the next one's work
            raise

    def _opened(self, *, create: bool) -> sqlite3.Connection:
        if self._closed:
            raise CatalogUnavailableError(ORIGIN, reason="the catalog was closed")
        if self._connection is None:
            address = f"{self._path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}"
            # Kept before it is asked anything: who fails with it closes it.
            self._connection = connection = sqlite3.connect(
                address, uri=True, isolation_level=None, check_same_thread=False
            )
            connection.set_progress_handler(self._late, STEPS)
            connection.execute("PRAGMA synchronous = NORMAL")
        return self._connection

    def _late(self) -> bool:
        return time.monotonic() > self._deadline

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _written(connection: sqlite3.Connection, changes: Changes, who: str, at: str) -> int:
    connection.execute("UPDATE tenantry_catalog SET revision = revision + 1")
    version, revision = _first(connection.execute(REVISION))
    checked_version(ORIGIN, version)
    gone = [name for name in changes.removed if _removed(connection, name)]
    if not gone and not changes.names:
        connection.execute("UPDATE tenantry_catalog SET revision = revision - 1")
        return int(revision) - 1
    _put(connection, changes, revision)
    removed = [(revision, name, "removed", who, at, None) for name in gone]
    put = zip(changes.names, changes.said, strict=True)
    connection.executemany(
        RECORD, removed + [(revision, name, "put", who, at, said) for name, said in put]
    )
    return int(revision)


def _removed(connection: sqlite3.Connection, name: str) -> bool:
    ask = "DELETE FROM tenantry_tenants WHERE name = ?"
    return connection.execute(ask, (name,)).rowcount > 0


def _put(connection: sqlite3.Connection, changes: Changes, revision: int) -> None:
    ask = "SELECT name FROM tenantry_tenants WHERE folded = ? AND name <> ?"
    for name, folded in zip(changes.names, changes.folded, strict=True):
        twin = connection.execute(ask, (folded, name)).fetchone()
        if twin is not None:
            raise twins(name, twin[0], ORIGIN)
    columns = zip(changes.names, changes.folded, changes.said, strict=True)
    connection.executemany(PUT, [(*each, revision) for each in columns])


def _first(found: sqlite3.Cursor) -> tuple[Any, ...]:
    row: tuple[Any, ...] | None = found.fetchone()
    found.close()  # an unfinished statement would keep its transaction open
    if row is None:
        raise unprepared(ORIGIN)
    return row


def _row(name: str, text: str, revision: int) -> Row:
    return Row(name, said_in(text, ORIGIN, name), revision)


def _entry(
    revision: int, name: str, operation: Any, who: str, at: str, text: str | None
) -> HistoryEntry:
    said = None if text is None else said_in(text, ORIGIN, name)
    return HistoryEntry(revision, name, operation, who, datetime.fromisoformat(at), said)
