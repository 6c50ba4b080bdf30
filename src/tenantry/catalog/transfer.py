"""Many tenants into an engine and out of it: what is different, and in pages and batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tenantry.catalog.engine import Write, position, spellings, twins
from tenantry.errors import ConfigError, Problem
from tenantry.settings import folded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tenantry.catalog.engine import Engine, Row
    from tenantry.catalog.memory import Rows

PAGE = 5_000
BATCH = 5_000
TIMEOUT = 60.0  # seconds for a page or a batch


@dataclass(frozen=True, slots=True)
class Difference:
    """What has to be written for an engine to hold what was said; names of tenants."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.added) + len(self.changed) + len(self.removed)


def all_rows(engine: Engine) -> Iterator[Row]:
    """Return every tenant, sorted by name; what changes meanwhile is or is not among them."""
    after = ""
    while page := engine.rows(after, PAGE, TIMEOUT):
        yield from page
        after = page[-1].name


def problems_of(
    rows: Rows, said: Mapping[str, Mapping[str, Any]], origin: str, step: Callable[[], object]
) -> list[Problem]:
    """Return everything that is wrong with what tenants say; `step` is called after each."""
    found: list[Problem] = []
    for name, settings in said.items():
        try:
            rows.read(name, settings, position(origin, name))
        except ConfigError as error:
            found += error.problems
        step()
    return found


def difference(
    engine: Engine, said: Mapping[str, Mapping[str, Any]], *, replace: bool
) -> Difference:
    """Compare what an engine holds; with `replace` nobody else stays in it.

    Raises:
        ConfigError: who stays in it has a name that folds like another's.
    """
    spelled = spellings(said)
    kept: set[str] = set()
    changed: list[str] = []
    removed: list[str] = []
    for row in all_rows(engine):
        if row.name not in said:
            if not replace and (twin := spelled.get(folded(row.name))) is not None:
                raise twins(twin, row.name, engine.origin)
            removed += [row.name] if replace else []
            continue
        kept.add(row.name)
        if said[row.name] != row.said:
            changed.append(row.name)
    added = [name for name in said if name not in kept]
    return Difference(tuple(added), tuple(changed), tuple(removed))


def write(
    engine: Engine,
    said: Mapping[str, Mapping[str, Any]],
    change: Difference,
    who: str,
    step: Callable[[int], object],
) -> None:
    """Write a difference in batches; `step` is called with the size of each that is written.

    Those who go come first: their names, folded, may be wanted again.
    """
    writes = [Write(name, None) for name in change.removed]
    writes += [Write(name, said[name]) for name in (*change.changed, *change.added)]
    for start in range(0, len(writes), BATCH):
        batch = writes[start : start + BATCH]
        engine.write(batch, who, TIMEOUT)
        step(len(batch))
