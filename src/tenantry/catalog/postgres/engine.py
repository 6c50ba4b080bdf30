"""Tenants in PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg

from tenantry.catalog.engine import (
    MOST_CHANGES,
    SCHEMA_VERSION,
    Changed,
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
from tenantry.catalog.postgres import tables
from tenantry.catalog.postgres.connection import ORIGIN, none_instead
from tenantry.catalog.postgres.link import Link
from tenantry.catalog.postgres.listener import PostgresListener
from tenantry.errors import CatalogUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tenantry.catalog.engine import Changes
    from tenantry.catalog.postgres.connection import Connection, Dsn, Instead


class PostgresEngine:
    """Tenants in tables of a PostgreSQL database; PgBouncer may stand between.

    It keeps three connections, each opened when it is first needed: a slow write or a long page
    must keep neither polls nor a first use waiting.

    Args:
        dsn: asked at every attempt to connect; a URL, or `key=value` pairs.
        instead: asked for another one where the server refused the password in that.
        notify: whether `listen` offers a listener.
    """

    origin = ORIGIN

    def __init__(self, dsn: Dsn, *, instead: Instead = none_instead, notify: bool = False) -> None:
        self._dsn = dsn
        self._instead = instead
        self._notify = notify
        self._polls = Link(dsn, instead)
        self._reads = Link(dsn, instead)
        self._works = Link(dsn, instead)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def revision(self, timeout: float) -> int:
        version, revision = self._polls.run(_one(tables.REVISION), timeout)
        checked_version(ORIGIN, version)
        return int(revision)

    def row(self, name: str, timeout: float) -> Row | None:
        found = self._reads.run(_all(tables.ROW, (name,)), timeout)
        return _row(*found[0]) if found else None

    def changed(self, since: int, timeout: float) -> Changed:
        ask = _one(tables.CHANGED, (since, MOST_CHANGES + 1))
        version, revision, oldest, names = self._polls.run(ask, timeout)
        checked_version(ORIGIN, version)
        return known(since, revision, oldest, names)

    def count(self, timeout: float) -> int:
        return int(self._works.run(_one(tables.COUNT), timeout)[0])

    def names(self, after: str, limit: int, timeout: float) -> list[str]:
        found = self._works.run(_all(tables.NAMES, (after, limit)), timeout)
        return [name for (name,) in found]

    def rows(self, after: str, limit: int, timeout: float) -> list[Row]:
        found = self._works.run(_all(tables.ROWS, (after, limit)), timeout)
        return [_row(*each) for each in found]

    def history(self, name: str | None, limit: int, timeout: float) -> list[HistoryEntry]:
        ask = _all(tables.HISTORY, {"name": name, "limit": limit})
        return [_entry(*each) for each in self._works.run(ask, timeout)]

    def write(self, writes: Sequence[Write], who: str, timeout: float) -> int:
        changes = sorted_out(writes)
        milliseconds = str(max(1, int(timeout * 1000)))

        def work(connection: Connection) -> int:
            connection.execute("BEGIN")
            connection.execute(tables.LIMITS, {"limit": milliseconds})
            return _written(connection, changes, who)

        return self._works.run(work, timeout)

    def prepare(self, timeout: float) -> int:
        return self._works.run(_prepared, timeout)

    def listen(self, woken: Callable[[], None]) -> PostgresListener | None:
        if not self._notify:
            return None
        return PostgresListener(self._dsn, self._call, woken, instead=self._instead)

    def close(self) -> None:
        for link in (self._polls, self._reads, self._works):
            link.close()

    def _call(self, channel: str, timeout: float) -> None:
        self._polls.run(_all(tables.NOTIFY, (channel, "")), timeout)


def _written(connection: Connection, changes: Changes, who: str) -> int:
    version, revision = _one(tables.COUNT_UP)(connection)
    checked_version(ORIGIN, version)
    gone = [name for (name,) in _all(tables.REMOVE, (changes.removed,))(connection)]
    if not gone and not changes.names:
        connection.execute("ROLLBACK")
        return int(revision) - 1
    _put(connection, changes, revision)
    names, operations = gone + changes.names, ["removed"] * len(gone) + ["put"] * len(changes.names)
    said = [None] * len(gone) + changes.said
    connection.execute(tables.RECORD, (revision, who, names, operations, said))
    connection.execute(tables.NOTIFY, (tables.CHANNEL, str(revision)))
    _commit(connection)
    return int(revision)


def _put(connection: Connection, changes: Changes, revision: int) -> None:
    if not changes.names:
        return
    twin = connection.execute(tables.TWIN, (changes.names, changes.folded)).fetchone()
    if twin is not None:
        raise twins(twin[0], twin[1], ORIGIN)
    connection.execute(tables.PUT, (revision, changes.names, changes.folded, changes.said))


def _commit(connection: Connection) -> None:
    """Commit; where the answer is lost nobody may try again, for it may have been done."""
    try:
        connection.execute("COMMIT")
    except (psycopg.OperationalError, TimeoutError) as error:
        reason = "the connection broke while changes were saved: look whether they were"
        raise CatalogUnavailableError(ORIGIN, reason=reason) from error


def _prepared(connection: Connection) -> int:
    with connection.transaction():
        # `IF NOT EXISTS` alone fails where two create the same table at the same time.
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (tables.LOCK,))
        connection.execute(tables.CREATE)
        connection.execute(tables.BEGIN_HISTORY, (SCHEMA_VERSION,))
        (version,) = _one(tables.VERSION)(connection)
    return checked_version(ORIGIN, version)


def _one(statement: str, values: Any = ()) -> Callable[[Connection], tuple[Any, ...]]:
    def work(connection: Connection) -> tuple[Any, ...]:
        found = connection.execute(statement.encode(), values).fetchone()
        if found is None:
            raise unprepared(ORIGIN)
        return found

    return work


def _all(statement: str, values: Any = ()) -> Callable[[Connection], list[tuple[Any, ...]]]:
    return lambda connection: connection.execute(statement.encode(), values).fetchall()


def _row(name: str, text: str, revision: int) -> Row:
    return Row(name, said_in(text, ORIGIN, name), revision)


def _entry(
    revision: int, name: str, operation: Any, who: str, at: Any, text: str | None
) -> HistoryEntry:
    said = None if text is None else said_in(text, ORIGIN, name)
    return HistoryEntry(revision, name, operation, who, at, said)
