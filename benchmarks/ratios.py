"""Is a target met? Ratios of rounds that ran by turns, and what they allow to say."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIDENCE = 0.95
FEWEST = 6  # rounds: of fewer, not even the least and the most hold the median that surely


class Verdict(StrEnum):
    MET = "met"
    MISSED = "missed"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Target:
    """The ratio that is asked for: this much at most, or at least."""

    bound: float
    at_most: bool = True

    def verdict(self, low: float, high: float) -> Verdict:
        """Judge an interval, the whole of which has to be on one side."""
        worst, best = (high, low) if self.at_most else (-low, -high)
        bound = self.bound if self.at_most else -self.bound
        if worst <= bound:
            return Verdict.MET
        return Verdict.MISSED if best > bound else Verdict.UNDECIDED

    def __str__(self) -> str:
        return f"{'at most' if self.at_most else 'at least'} {said(self.bound)}"


@dataclass(frozen=True, slots=True)
class Ratio:
    """What one thing took as a share of another, round by round."""

    rounds: tuple[float, ...]

    @classmethod
    def of(cls, ours: Sequence[float], beside: Sequence[float]) -> Ratio:
        return cls(tuple(mine / other for mine, other in zip(ours, beside, strict=True)))

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the median; everything where there are too few rounds."""
        return interval(self.rounds)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{said(self.median)} ({said(low)} .. {said(high)})"


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the median.

    It goes from one of the values to another, by the order of them alone: a round that a busy
    machine spoiled counts as one that was on its side, however far off it is.
    """
    ordered, off = sorted(values), _left_out(len(values))
    if off is None:
        return 0.0, math.inf
    return ordered[off], ordered[-1 - off]


def _left_out(count: int) -> int | None:
    """Return how many values may be left out at each end; None where none hold the median.

    The median is below the n-th of the values as surely as a coin that is thrown for each of them
    shows heads less than n times.
    """
    tail, off = 0.0, None
    for heads in range(count):
        tail += math.comb(count, heads) / 2**count
        if tail > (1 - CONFIDENCE) / 2:
            break
        off = heads
    return off


def said(ratio: float) -> str:
    """Write a ratio as people say it: a share where it is small."""
    if math.isinf(ratio):
        return "any"
    return f"{ratio:.2%}" if ratio < 0.1 else f"{ratio:.3g}x"
