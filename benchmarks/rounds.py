"""Things that are measured by turns, so that a machine that slows down slows all of them."""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Took:
    """What a number of times the same took: seconds of this process, and seconds of the clock."""

    cpu: float
    wall: float
    times: int = 1

    @property
    def cpu_each(self) -> float:
        return self.cpu / self.times

    @property
    def wall_each(self) -> float:
        return self.wall / self.times

    @property
    def rate(self) -> float:
        return self.times / self.wall

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def by_turns(ways: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Go all ways once a round, forwards and backwards by turns; the first round is not counted."""
    found: dict[str, list[T]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name in list(ways)[:: -1 if number % 2 else 1]:
            result = ways[name]()
            if number:
                found[name].append(result)
    return found


async def by_turns_async(
    ways: Mapping[str, Callable[[], Awaitable[T]]], rounds: int
) -> dict[str, list[T]]:
    """Do what `by_turns` does, on one event loop."""
    found: dict[str, list[T]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name in list(ways)[:: -1 if number % 2 else 1]:
            result = await ways[name]()
            if number:
                found[name].append(result)
    return found


def taken(call: Callable[[], object], times: int = 1) -> Took:
    """Return what calling something takes; garbage of what was before is not counted."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        call()
    return Took(time.process_time() - cpu, time.perf_counter() - wall, times)


async def ataken(call: Callable[[], Awaitable[object]], times: int = 1) -> Took:
    """Do what `taken` does, for what is awaited."""
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(times):
        await call()
    return Took(time.process_time() - cpu, time.perf_counter() - wall, times)


def noted(ways: Mapping[str, Sequence[Took]]) -> dict[str, list[dict[str, Any]]]:
    """Return every round as JSON can hold it."""
    return {name: [each.as_dict() for each in all_] for name, all_ in ways.items()}


def rate_and_cpu(all_: Sequence[Took]) -> tuple[str, str]:
    """Write how many a second, and the CPU microseconds of each."""
    micros = [1e6 * each.cpu_each for each in all_]
    return spread([each.rate for each in all_], ".0f"), spread(micros, ".0f")


def spread(values: Sequence[float], form: str = ".3g", unit: str = "") -> str:
    """Write the median of values, the least and the most."""
    median, least, most = statistics.median(values), min(values), max(values)
    return f"{median:{form}}{unit} ({least:{form}} .. {most:{form}})"
