"""What holds of every engine."""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tenantry.catalog.engine import MOST_CHANGES, SCHEMA_VERSION, Changed, Row, Write
from tenantry.catalog.postgres import PostgresEngine
from tenantry.catalog.sqlite import SqliteEngine
from tenantry.errors import CatalogUnavailableError, ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection
    from pathlib import Path

    from tenantry.catalog.engine import Engine

T = 10.0
WRITERS = 16
WRITES = 20


@pytest.fixture(params=["sqlite", "postgres"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Engine]]:
    """Opens engines on one database that nobody prepared."""
    engines: list[Engine] = []
    dsn = request.getfixturevalue("postgres_dsn") if request.param == "postgres" else ""

    def open_one() -> Engine:
        engine: Engine = (
            PostgresEngine(lambda: dsn)
            if request.param == "postgres"
            else SqliteEngine(tmp_path / "catalog.db")
        )
        engines.append(engine)
        return engine

    yield open_one
    for engine in engines:
        engine.close()


@pytest.fixture
def engine(opened: Callable[[], Engine]) -> Engine:
    engine = opened()
    engine.prepare(T)
    return engine


def put(engine: Engine, *names: str, note: str = "") -> int:
    return engine.write([Write(name, {"labels": {"note": note}}) for name in names], "us", T)


def test_before_it_is_prepared(opened: Callable[[], Engine]) -> None:
    """A database without our tables says which command makes them, whatever is asked."""
    engine = opened()

    for ask in (
        lambda: engine.revision(T),
        lambda: engine.row("acme", T),
        lambda: engine.changed(0, T),
        lambda: engine.count(T),
        lambda: put(engine, "acme"),
    ):
        with pytest.raises(ConfigError, match="tenantry catalog init"):
            ask()


def test_preparing_again_changes_nothing(engine: Engine) -> None:
    """Preparing what is prepared keeps what is there."""
    put(engine, "acme")

    assert SCHEMA_VERSION == engine.prepare(T)
    assert (1, 1) == (engine.count(T), engine.revision(T))


def test_preparing_at_the_same_time(opened: Callable[[], Engine]) -> None:
    """Many that prepare one database at once all find it prepared."""
    engines = [opened() for _ in range(8)]
    start = threading.Barrier(8)

    def prepare(engine: Engine) -> int:
        start.wait(T)
        return engine.prepare(T)

    with ThreadPoolExecutor(8) as pool:
        assert [SCHEMA_VERSION] * 8 == list(pool.map(prepare, engines))


def test_a_row_comes_back_as_it_was(engine: Engine) -> None:
    """What is read is what was written, the order of keys included."""
    said = {
        "z": {"b": [1, 2.5, None, True], "a": "ü\u0000\U0001f600"},
        "a": {},
        "first": [{"vault": "x"}, {"env": "Y"}],
        "number": 2**63,
    }
    revision = engine.write([Write("acme", said)], "us", T)

    row = engine.row("acme", T)

    assert Row("acme", said, revision) == row
    assert row is not None
    assert list(said) == list(row.said)


def test_only_the_very_name_finds_a_row(engine: Engine) -> None:
    """A name that differs in case or in `-_.` is nobody's."""
    put(engine, "a-cme")

    assert engine.row("a-cme", T) is not None
    assert [None] * 4 == [engine.row(name, T) for name in ("A-CME", "a_cme", "a.cme", "a")]


def test_a_later_word_counts(engine: Engine) -> None:
    """A tenant says what was put last, within one write too; removed, it is gone."""
    put(engine, "acme", note="first")
    engine.write([Write("acme", {"a": 1}), Write("acme", {"a": 2})], "us", T)
    row = engine.row("acme", T)
    assert row is not None
    assert ({"a": 2}, 2) == (row.said, row.revision)

    engine.write([Write("acme", None)], "us", T)
    assert (None, 0) == (engine.row("acme", T), engine.count(T))


def test_removing_nobody_changes_nothing(engine: Engine) -> None:
    """A write that comes to nothing makes no revision and no history."""
    assert 1 == put(engine, "acme")
    assert 1 == engine.write([Write("globex", None)], "us", T)
    assert 1 == engine.write([], "us", T)
    assert (1, 1) == (engine.revision(T), len(engine.history(None, 10, T)))


def test_twins_are_refused(engine: Engine) -> None:
    """A name that folds like another's is refused with both, and nothing is written."""
    put(engine, "a-cme")

    with pytest.raises(ConfigError, match=r"'A\.CME' and 'a-cme'"):
        put(engine, "globex", "A.CME")
    with pytest.raises(ConfigError, match=r"'Initech' and 'initech'"):
        put(engine, "initech", "Initech")
    assert (["a-cme"], 1) == (engine.names("", 10, T), engine.revision(T))


def test_a_tenant_may_be_renamed(engine: Engine) -> None:
    """A name may take the place of its twin where one write removes that."""
    put(engine, "a-cme")
    engine.write([Write("a_cme", {}), Write("a-cme", None)], "us", T)

    assert ["a_cme"] == engine.names("", 10, T)


def test_pages_are_sorted(engine: Engine) -> None:
    """Pages follow each other in the order in which Python sorts names, and miss nobody."""
    names = ["Zeta", "a-1", "a.1x", "a_0", "acme", "b", "B2", "0-day"]
    put(engine, *names)
    found: list[str] = []
    while page := engine.names(found[-1] if found else "", 3, T):
        found += page

    assert sorted(names) == found
    assert sorted(names)[3:6] == [row.name for row in engine.rows(sorted(names)[2], 3, T)]


def test_changes_since_a_revision(engine: Engine) -> None:
    """Who was put or removed after a revision is told, by name and once."""
    first = put(engine, "acme", "globex")
    put(engine, "acme", note="again")
    last = engine.write([Write("globex", None), Write("initech", {})], "us", T)

    assert Changed(last, {"acme", "globex", "initech"}) == engine.changed(0, T)
    assert Changed(last, {"acme", "globex", "initech"}) == engine.changed(first, T)
    assert Changed(last, {"globex", "initech"}) == engine.changed(last - 1, T)
    assert Changed(last, frozenset()) == engine.changed(last, T)


def test_a_revision_from_the_future(engine: Engine) -> None:
    """Whoever knows more than the database, after a restored backup, has to begin anew."""
    put(engine, "acme")

    assert Changed(1, None) == engine.changed(7, T)


def test_too_many_changes(engine: Engine) -> None:
    """More changes than are worth telling one by one are "everything"."""
    put(engine, *(f"t{number}" for number in range(MOST_CHANGES)))
    assert engine.changed(0, T).names is not None

    put(engine, "one-more")
    assert Changed(2, None) == engine.changed(0, T)


def test_history(engine: Engine) -> None:
    """Every change is kept: who made it and when, and what was said; the latest comes first."""
    put(engine, "acme", "globex", note="x")
    engine.write([Write("acme", None)], "them", T)

    whole = engine.history(None, 10, T)
    assert [
        (2, "acme", "removed", "them"),
        (1, "acme", "put", "us"),
        (1, "globex", "put", "us"),
    ] == [(each.revision, each.name, each.operation, each.who) for each in whole]
    assert [None, {"labels": {"note": "x"}}] == [each.said for each in engine.history("acme", 9, T)]
    assert whole[:1] == engine.history(None, 1, T)
    assert all(abs(datetime.now(UTC) - each.at) < timedelta(minutes=5) for each in whole)


def test_writers_at_the_same_time_lose_nothing(opened: Callable[[], Engine]) -> None:
    """Whoever reads on from the last revision it saw misses none of 16 writers' changes."""
    opened().prepare(T)

    assert missed_by_a_reader(opened) == set()


def missed_by_a_reader(opened: Callable[[], Engine]) -> set[str]:
    """Return the changes that a reader never hears of while 16 write."""
    start = threading.Barrier(WRITERS + 1)
    done = threading.Event()
    heard: set[str] = set()

    def write(number: int) -> None:
        engine = opened()
        engine.revision(T)
        start.wait(T)
        for count in range(WRITES):
            engine.write([Write(f"w{number}-{count}", {})], "us", 60.0)

    def read() -> None:
        engine, seen = opened(), 0
        start.wait(T)
        last = False
        while not last:
            last = done.is_set()  # and once more after the last write
            changed = engine.changed(seen, T)
            assert changed.names is not None
            heard.update(changed.names)
            seen = changed.revision

    with ThreadPoolExecutor(WRITERS + 1) as pool:
        reader = pool.submit(read)
        try:
            for writer in [pool.submit(write, number) for number in range(WRITERS)]:
                writer.result()
        finally:
            done.set()
        reader.result()
    return {f"w{n}-{c}" for n in range(WRITERS) for c in range(WRITES)} - heard


def test_threads_share_an_engine(engine: Engine) -> None:
    """Many threads may ask one engine at once."""
    names = [f"t{number}" for number in range(50)]
    put(engine, *names)

    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda name: engine.row(name, T), names * 4))
    assert names * 4 == [row.name for row in rows if row is not None]


def test_it_lives_through_a_fork(engine: Engine) -> None:
    """A child asks on a connection of its own, and the parent's goes on after the child ended."""
    put(engine, "acme")
    assert engine.row("acme", T) is not None
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=answer, args=(engine, theirs))
    child.start()
    put(engine, "globex")
    ours.send("go")

    assert ours.poll(T)
    assert ("acme", 2) == ours.recv()
    child.join(T)
    assert 0 == child.exitcode
    assert engine.row("initech", T) is not None
    assert 3 == engine.revision(T)


def answer(engine: Engine, pipe: Connection) -> None:
    pipe.recv()
    row, revision = engine.row("acme", T), engine.revision(T)
    put(engine, "initech")
    engine.close()
    pipe.send((None if row is None else row.name, revision))
    os._exit(0)  # past what ends a process that measures coverage


def test_a_closed_engine_says_so(engine: Engine) -> None:
    """Closed, it opens nothing again; closing it twice does no harm."""
    engine.close()
    engine.close()

    with pytest.raises(CatalogUnavailableError, match="closed"):
        engine.revision(T)
