"""A breaker asks a dead source once per pause, for everybody."""

from __future__ import annotations

import threading

import pytest
from tests.forking import in_child

from tenantry.breaker import OPENS_AFTER, PROBE_EVERY, Breaker
from tenantry.errors import Failure, SourceError

DEAD = SourceError("cannot be reached")


def objection(breaker: Breaker, now: float, dice: float) -> SourceError | None:
    try:
        breaker.check(now, dice)
    except SourceError as error:
        return error
    return None


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(OPENS_AFTER):
        breaker.landed(DEAD, now, 0.0)
    return breaker


def test_it_is_closed_at_first() -> None:
    """A source that nobody asked yet may be asked, and so may one that answers."""
    breaker = Breaker()
    breaker.landed(None, 0.0, 0.0)
    assert objection(breaker, 0.0, 0.0) is None


def test_three_failures_in_a_row_open_it() -> None:
    """Two failures are bad luck, the third opens it, and everybody gets the last error."""
    breaker = Breaker()
    for _ in range(OPENS_AFTER - 1):
        breaker.landed(SourceError("earlier"), 0.0, 0.0)
    assert objection(breaker, 0.0, 0.0) is None
    breaker.landed(DEAD, 0.0, 0.0)
    assert objection(breaker, 0.0, 0.0) is DEAD


@pytest.mark.parametrize(("dice", "pause"), [(0.0, PROBE_EVERY), (1.0, 2 * PROBE_EVERY)])
def test_one_probe_goes_per_pause(dice: float, pause: float) -> None:
    """After the pause one flight goes, and the next has to wait for another pause."""
    breaker = Breaker()
    for _ in range(OPENS_AFTER):
        breaker.landed(DEAD, 100.0, dice)
    assert objection(breaker, 100.0 + pause - 0.01, dice) is DEAD
    assert objection(breaker, 100.0 + pause, dice) is None
    assert objection(breaker, 100.0 + pause, dice) is DEAD
    assert objection(breaker, 100.0 + 2 * pause, dice) is None


def test_a_success_closes_it() -> None:
    """Once the source answers, nobody is held back any more."""
    breaker = opened()
    breaker.landed(None, 5.0, 0.0)
    assert not breaker.is_open
    assert objection(breaker, 5.0, 0.0) is None


@pytest.mark.parametrize("failure", [Failure.DENIED, Failure.ABSENT])
def test_a_refusal_is_an_answer(failure: Failure) -> None:
    """A source that denies is alive: the breaker closes."""
    breaker = opened()
    breaker.landed(SourceError("no", failure=failure), 5.0, 0.0)
    assert objection(breaker, 5.0, 0.0) is None


def test_many_threads_get_one_probe() -> None:
    """However many threads ask at once, one of them is the probe."""
    breaker = opened()
    barrier = threading.Barrier(16)
    let_through: list[bool] = []

    def ask() -> None:
        barrier.wait(10)
        let_through.append(objection(breaker, 60.0, 0.0) is None)

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert 1 == sum(let_through)


def test_a_child_is_not_stuck_on_the_parents_lock() -> None:
    """A child that is forked while the lock is held can ask all the same."""
    breaker = opened()
    with breaker._lock:
        assert in_child(lambda: objection(breaker, 0.0, 0.0) is not None)
