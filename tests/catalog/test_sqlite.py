from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tenantry.catalog.engine import Write
from tenantry.catalog.sqlite import SqliteEngine
from tenantry.errors import CatalogUnavailableError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

T = 10.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "catalog.db"


@pytest.fixture
def engine(file: Path) -> Iterator[SqliteEngine]:
    engine = SqliteEngine(file, now=lambda: datetime(2030, 1, 2, tzinfo=UTC))
    engine.prepare(T)
    yield engine
    engine.close()


def done(file: Path, statement: str) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(statement)


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    """A directory is not made: it would hide that a path is mistyped."""
    with pytest.raises(ConfigError, match=r"there is no directory .*nowhere"):
        SqliteEngine(tmp_path / "nowhere" / "catalog.db").prepare(T)


def test_a_file_that_is_not_there(file: Path) -> None:
    """To ask for tenants makes no file."""
    with pytest.raises(ConfigError, match="tenantry catalog init"):
        SqliteEngine(file).revision(T)
    assert not file.exists()


def test_a_file_that_is_none_of_ours(file: Path) -> None:
    """A file of something else is said to be one."""
    file.write_text("no database" * 100, encoding="utf-8")
    with pytest.raises(CatalogUnavailableError, match="not a database"):
        SqliteEngine(file).revision(T)


def test_readers_do_not_wait_for_a_writer(engine: SqliteEngine, file: Path) -> None:
    """While one writes the others read what was before; another writer waits, and not for ever."""
    engine.write([Write("acme", {})], "us", T)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("DELETE FROM tenantry_tenants")
        started = time.monotonic()
        assert engine.row("acme", T) is not None
        with pytest.raises(CatalogUnavailableError, match="locked"):
            engine.write([Write("globex", {})], "us", 0.2)
        assert time.monotonic() - started < T / 2
        other.execute("ROLLBACK")

    assert 2 == engine.write([Write("globex", {})], "us", T)


def test_a_long_answer_ends_in_time(engine: SqliteEngine) -> None:
    """A statement that goes on and on ends at the deadline, and the next one is served."""
    endless = (
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    )
    with pytest.raises(CatalogUnavailableError, match="interrupted"):
        engine._all(endless, (), 0.2)

    assert 0 == engine.count(T)


def test_newer_tables_are_refused(engine: SqliteEngine, file: Path) -> None:
    """Tables of a later version are neither read nor written."""
    done(file, "UPDATE tenantry_catalog SET version = 99")

    for ask in (
        lambda: engine.revision(T),
        lambda: engine.changed(0, T),
        lambda: engine.write([Write("a", {})], "us", T),
        lambda: engine.prepare(T),
    ):
        with pytest.raises(ConfigError, match="version 99, and we know 1"):
            ask()


def test_a_row_that_is_no_mapping(engine: SqliteEngine, file: Path) -> None:
    """What is written past us has to be a mapping, too."""
    with pytest.raises(sqlite3.IntegrityError):
        done(file, "INSERT INTO tenantry_tenants VALUES ('acme', 'acme', '[1]', 1)")
    done(file, """INSERT INTO tenantry_tenants VALUES ('acme', 'acme', '{"a": 1e999}', 1)""")
    done(file, f"""UPDATE tenantry_tenants SET said = '{{"a": 1{"0" * 5000}}}'""")

    with pytest.raises(ConfigError, match="sqlite:tenants/acme"):
        engine.row("acme", T)


def test_the_time_of_a_change(engine: SqliteEngine) -> None:
    """The history says when, with its zone."""
    engine.write([Write("acme", {})], "us", T)

    (entry,) = engine.history("acme", 10, T)
    assert datetime(2030, 1, 2, tzinfo=UTC) == entry.at


def test_nobody_calls(engine: SqliteEngine) -> None:
    """A local file is polled; there is no listener."""
    listener = engine.listen(lambda: None)  # type: ignore[func-returns-value]  # the contract's
    assert listener is None
