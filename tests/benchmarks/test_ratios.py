"""Ratios of rounds, their interval, and the verdict."""

from __future__ import annotations

import itertools
import math

import pytest
from benchmarks.ratios import CONFIDENCE, Ratio, Target, Verdict, interval, said


def test_a_ratio_is_taken_round_by_round() -> None:
    """A round in which the machine was slow for both is like any other."""
    ratio = Ratio.of([2.0, 20.0, 2.2], [1.0, 10.0, 1.0])
    assert (2.0, 2.0, 2.2) == ratio.rounds
    assert 2.0 == ratio.median


@pytest.mark.parametrize(
    ("target", "verdicts"),
    [
        (Target(1.0), [Verdict.MET, Verdict.UNDECIDED, Verdict.MISSED]),
        (Target(1.0, at_most=False), [Verdict.MISSED, Verdict.UNDECIDED, Verdict.MET]),
    ],
)
def test_a_verdict_wants_the_whole_interval(target: Target, verdicts: list[Verdict]) -> None:
    """A target is met, or missed, only where the interval lies on one side of it."""
    intervals = [(0.7, 0.9), (0.9, 1.1), (1.1, 1.3)]
    assert verdicts == [target.verdict(*each) for each in intervals]


@pytest.mark.parametrize("at_most", [True, False])
def test_what_is_at_the_bound_meets_it(at_most: bool) -> None:
    """At most, and at least, allow what is neither more nor less."""
    assert Verdict.MET == Target(1.0, at_most=at_most).verdict(1.0, 1.0)


@pytest.mark.parametrize("at_most", [True, False])
def test_few_rounds_decide_nothing(at_most: bool) -> None:
    """Of five rounds even the least and the most hold the median too seldom."""
    ratio = Ratio((1.0, 1.01, 1.02, 1.03, 1.04))
    assert (0.0, math.inf) == ratio.interval
    assert Verdict.UNDECIDED == Target(2.0, at_most=at_most).verdict(*ratio.interval)


def test_one_spoiled_round_of_nine_does_not_widen_the_interval() -> None:
    """However far off one round is at either end, the interval stays."""
    assert (2.0, 8.0) == interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0])
    assert (2.0, 8.0) == interval([0.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 1e9])


@pytest.mark.parametrize("count", range(6, 15))
def test_the_interval_is_the_narrowest_that_is_sure(count: int) -> None:
    """Each value is above the median as a coin falls: it is held in 95 % of all throws."""
    low, high = interval([float(number) for number in range(count)])

    def sure(least: float, most: float) -> float:
        throws = [sum(throw) for throw in itertools.product((0, 1), repeat=count)]
        return sum(least < below <= most for below in throws) / len(throws)

    assert count - 1 == low + high
    assert sure(low, high) >= CONFIDENCE > sure(low + 1, high - 1)


def test_ratios_are_said_as_people_do() -> None:
    """Small ones are shares, others are times."""
    assert ["0.51%", "1.03x", "12.3x", "any"] == [
        said(each) for each in (0.0051, 1.03, 12.34, math.inf)
    ]
