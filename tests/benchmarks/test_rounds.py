"""Things measured by turns."""

from __future__ import annotations

from benchmarks.rounds import ataken, by_turns, by_turns_async, spread, taken

# The first round is not counted; the second goes backwards.
ORDER = ["a", "b", "b", "a", "a", "b"]
COUNTED = {"a": [4, 5], "b": [3, 6]}


def test_ways_go_by_turns() -> None:
    """No way is always the first, and what only a first round costs is left out."""
    gone: list[str] = []

    def go(name: str) -> int:
        gone.append(name)
        return len(gone)

    assert COUNTED == by_turns({"a": lambda: go("a"), "b": lambda: go("b")}, 2)
    assert ORDER == gone


async def test_async_ways_go_by_turns() -> None:
    """What is awaited goes in the same order."""
    gone: list[str] = []

    async def go(name: str) -> int:
        gone.append(name)
        return len(gone)

    assert COUNTED == await by_turns_async({"a": lambda: go("a"), "b": lambda: go("b")}, 2)
    assert ORDER == gone


async def test_what_is_taken_is_told_for_each() -> None:
    """Something is done as often as asked, and its time divided by that."""
    done: list[int] = []

    async def do() -> None:
        done.append(1)

    took = taken(lambda: done.append(1), 3)
    assert 3 == len(done)
    assert took.cpu / 3 == took.cpu_each
    took = await ataken(do, 4)
    assert 7 == len(done)
    assert (took.wall / 4, 4 / took.wall) == (took.wall_each, took.rate)


def test_a_spread_is_the_median_between_the_least_and_the_most() -> None:
    """All three are written in one form."""
    assert "2.0 s (1.0 .. 9.0)" == spread([9.0, 1.0, 2.0], ".1f", " s")
