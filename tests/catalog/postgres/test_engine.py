from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tenantry.catalog.engine import Write
from tenantry.catalog.postgres import PostgresEngine, tables
from tenantry.catalog.postgres.connection import connect
from tenantry.catalog.postgres.engine import _commit
from tenantry.errors import CatalogUnavailableError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenantry.catalog.postgres.connection import Connection
    from tenantry.testing.postgres import PostgresServer

T = 10.0

# What others count with: a number is given out before anything of it can be seen.
SEQUENCE_UP = "SELECT version, nextval('counter') FROM tenantry_catalog"
SEQUENCE_CHANGED = """
SELECT version, (SELECT coalesce(max(revision), 0) FROM tenantry_changes), 0,
       ARRAY(SELECT name FROM tenantry_changes WHERE revision > %s LIMIT %s)
FROM tenantry_catalog
"""


@pytest.fixture
def engine(postgres_dsn: str) -> Iterator[PostgresEngine]:
    engine = PostgresEngine(lambda: postgres_dsn)
    engine.prepare(T)
    yield engine
    engine.close()


def missed_beside_a_slow_writer(engine: PostgresEngine, dsn: str, patience: float) -> set[str]:
    """Return what a reader misses where one writer takes its number first and ends last."""
    quick = threading.Event()

    def write() -> None:
        engine.write([Write("quick", {})], "us", T)
        quick.set()

    with closing(connect(dsn, T)) as slow, ThreadPoolExecutor(1) as pool:
        slow.execute("BEGIN")
        number = slow.execute(tables.COUNT_UP.encode()).fetchone()
        assert number is not None
        writer = pool.submit(write)
        quick.wait(patience)  # it waits for the slow one, unless numbers are given out early
        first = engine.changed(0, T)
        said: list[Any] = [number[1], "us", ["slow"], ["put"], ["{}"]]
        slow.execute(tables.RECORD.encode(), said)
        slow.execute("COMMIT")
        writer.result(T)
        second = engine.changed(first.revision, T)
    return {"quick", "slow"} - {*(first.names or ()), *(second.names or ())}


def test_a_revision_is_never_seen_before_an_earlier_one(
    engine: PostgresEngine, postgres_dsn: str
) -> None:
    """However long a writer takes, nobody reads on past its changes."""
    assert set() == missed_beside_a_slow_writer(engine, postgres_dsn, 0.5)


def test_a_sequence_would_lose_changes(
    engine: PostgresEngine, postgres_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same with a sequence for a counter: a change is lost, so the test above can fail."""
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute("CREATE SEQUENCE counter")
    monkeypatch.setattr(tables, "COUNT_UP", SEQUENCE_UP)
    monkeypatch.setattr(tables, "CHANGED", SEQUENCE_CHANGED)

    assert {"slow"} == missed_beside_a_slow_writer(engine, postgres_dsn, T)


def test_a_trimmed_history(engine: PostgresEngine, postgres_dsn: str) -> None:
    """Whoever asks for what was deleted from the history has to begin anew."""
    for name in ("a", "b", "c"):
        engine.write([Write(name, {})], "us", T)
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute("DELETE FROM tenantry_changes WHERE revision <= 2")

    assert engine.changed(1, T).names is None
    assert {"c"} == engine.changed(2, T).names
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute("DELETE FROM tenantry_changes")
    assert (None, frozenset()) == (engine.changed(2, T).names, engine.changed(3, T).names)


def test_newer_tables_are_refused(engine: PostgresEngine, postgres_dsn: str) -> None:
    """Tables of a later version are neither read nor written; the message names both."""
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute("UPDATE tenantry_catalog SET version = 99")

    for ask in (
        lambda: engine.revision(T),
        lambda: engine.changed(0, T),
        lambda: engine.write([Write("a", {})], "us", T),
        lambda: engine.prepare(T),
    ):
        with pytest.raises(ConfigError, match="version 99, and we know 1"):
            ask()


def test_a_row_that_nobody_can_read(engine: PostgresEngine, postgres_dsn: str) -> None:
    """A row that was written past us, deeper than a stack goes, is a problem of that tenant."""
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        # Python 3.13 reads deeper than those before it.
        depth = 3_000 if sys.version_info < (3, 13) else 10_000
        deep = '{"a":' * depth + "1" + "}" * depth
        insert = "INSERT INTO tenantry_tenants VALUES ('acme', 'acme', %s::json, 1)"
        connection.execute(insert, (deep,))

    with pytest.raises(ConfigError, match="postgres:tenants/acme"):
        engine.row("acme", T)


def test_a_writer_that_waits_too_long(engine: PostgresEngine, postgres_dsn: str) -> None:
    """Behind a writer that does not end, a write ends in time, and nothing of it remains."""
    with closing(connect(postgres_dsn, T)) as slow:
        slow.execute("BEGIN")
        slow.execute(tables.COUNT_UP.encode())
        with pytest.raises(CatalogUnavailableError):
            engine.write([Write("acme", {})], "us", 0.3)
        slow.execute("ROLLBACK")

    assert (0, 0) == (engine.count(T), engine.revision(T))


def test_a_lost_answer_to_a_commit(engine: PostgresEngine, postgres_dsn: str) -> None:
    """Where nobody knows whether changes were saved that is said, and they are made only once."""
    tried: list[int] = []

    def work(connection: Connection) -> None:
        tried.append(connection.info.backend_pid)
        with psycopg.connect(postgres_dsn, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", tried)
        _commit(connection)

    engine.count(T)
    with pytest.raises(CatalogUnavailableError, match="look whether they were"):
        engine._works.run(work, T)
    assert 1 == len(tried)


def test_without_psycopg() -> None:
    """Where psycopg is missing the line that installs it is said."""
    code = "import sys; sys.modules['psycopg'] = None; import tenantry.catalog.postgres"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "pip install 'tenantry[postgres]'" in done.stderr


def test_a_read_is_by_index(engine: PostgresEngine, postgres_dsn: str) -> None:
    """A first use reads one row by the index, however many there are."""
    engine.write([Write(f"t{number}", {}) for number in range(2000)], "us", T)
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute("ANALYZE tenantry_tenants")
        plan = connection.execute(f"EXPLAIN {tables.ROW}".encode(), ("t7",)).fetchall()

    assert "Index Scan using tenantry_tenants_pkey" in str(plan)


def test_nothing_of_a_dsn_is_shown(postgres_server: PostgresServer) -> None:
    """An engine shows neither its DSN nor the password in it."""
    assert postgres_server.password not in repr(PostgresEngine(lambda: postgres_server.dsn))
