from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tenantry.catalog import transfer
from tenantry.catalog.engine import Write
from tenantry.catalog.sqlite import SqliteEngine
from tenantry.catalog.transfer import Difference, all_rows, difference, problems_of, write
from tenantry.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tenantry.loading import Tenant

T = 10.0


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[SqliteEngine]:
    engine = SqliteEngine(tmp_path / "catalog.db")
    engine.prepare(T)
    engine.write([Write(name, {"labels": {"n": name}}) for name in ("a", "b", "c")], "us", T)
    yield engine
    engine.close()


def test_pages_make_a_whole(engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every tenant comes once, however many pages it takes."""
    monkeypatch.setattr(transfer, "PAGE", 2)

    assert ["a", "b", "c"] == [row.name for row in all_rows(engine)]


def test_what_is_different(engine: SqliteEngine) -> None:
    """Who says the same is not written again; who is not named stays, unless all are replaced."""
    said = {"a": {"labels": {"n": "a"}}, "b": {"labels": {"n": "other"}}, "d": {}}

    assert Difference(("d",), ("b",), ()) == difference(engine, said, replace=False)
    assert Difference(("d",), ("b",), ("c",)) == difference(engine, said, replace=True)


def test_twins_are_found_before_anything_is_written(engine: SqliteEngine) -> None:
    """A name that folds like one that stays is refused; like one that goes it is not."""
    with pytest.raises(ConfigError, match="'A' and 'a'"):
        difference(engine, {"A": {}}, replace=False)
    with pytest.raises(ConfigError, match="'X' and 'x'"):
        difference(engine, {"x": {}, "X": {}}, replace=True)

    change = difference(engine, {"A": {}}, replace=True)
    write(engine, {"A": {}}, change, "us", lambda _: None)
    assert ["A"] == engine.names("", 10, T)


def test_batches(engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch is a revision, and tells how many it wrote; those who go come first."""
    monkeypatch.setattr(transfer, "BATCH", 2)
    steps: list[int] = []
    said: dict[str, Mapping[str, Any]] = {"a": {}, "d": {}, "e": {}}
    change = difference(engine, said, replace=True)
    write(engine, said, change, "us", steps.append)

    assert [2, 2, 1] == steps
    assert said == {row.name: row.said for row in all_rows(engine)}
    assert ["b", "c"] == sorted(e.name for e in engine.history(None, 9, T) if e.revision == 2)


def test_everything_that_is_wrong() -> None:
    """All problems of all tenants are told, with the place that a row has."""

    class Refusing:
        def read(self, name: str, said: Mapping[str, Any], origin: str) -> Tenant:
            raise ConfigError(Problem(f"{origin} {said}"))

    steps: list[None] = []
    found = problems_of(Refusing(), {"a": {}, "b": {"x": 1}}, "sqlite", lambda: steps.append(None))

    assert ["sqlite:tenants/a {}", "sqlite:tenants/b {'x': 1}"] == [each.message for each in found]
    assert 2 == len(steps)
