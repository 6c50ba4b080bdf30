from __future__ import annotations

import gc
import logging
import threading
import time
from typing import TYPE_CHECKING

import pytest
from tests.forking import in_child

from tenantry.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 10.0  # seconds after which a test that hangs fails


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Thing:
    """Notes when it was called, and by which thread."""

    def __init__(self, book: list[str] | None = None, name: str = "") -> None:
        self.book = [] if book is None else book
        self.name = name
        self.called = threading.Semaphore(0)
        self.threads: list[threading.Thread] = []

    def due(self) -> None:
        self.book.append(self.name)
        self.threads.append(threading.current_thread())
        self.called.release()

    def wait_until_called(self) -> None:
        assert self.called.acquire(timeout=LIMIT)


class Broken:
    """Something that cannot refresh itself."""

    def due(self) -> None:
        raise ValueError("broken")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def by_hand(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Schedule]:
    """A schedule that gets no thread: the test calls `run_due`."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    made = Schedule(clock)
    yield made
    made.close()


@pytest.fixture
def schedule() -> Iterator[Schedule]:
    made = Schedule()
    yield made
    made.close()


# -- by hand --------------------------------------------------------------------------------------


def test_what_is_due_is_called_in_its_order(by_hand: Schedule, clock: Clock) -> None:
    """Whoever asked for an earlier instant is called first, and nobody before it."""
    book: list[str] = []
    things = [Thing(book, name) for name in ("third", "first", "second")]
    for thing, when in zip(things, (1030.0, 1010.0, 1020.0), strict=True):
        by_hand.at(when, thing)
    assert 10.0 == by_hand.run_due()
    clock.now = 1020.0
    assert 10.0 == by_hand.run_due()
    assert ["first", "second"] == book
    clock.now = 1030.0
    assert None is by_hand.run_due()
    assert ["first", "second", "third"] == book


def test_an_empty_schedule_calls_nobody(by_hand: Schedule) -> None:
    """There is no next instant either."""
    assert None is by_hand.run_due()


def test_of_two_at_one_instant_who_asked_first_is_called_first(by_hand: Schedule) -> None:
    """Things need not be comparable."""
    book: list[str] = []
    things = [Thing(book, name) for name in ("a", "b", "c")]
    for thing in things:
        by_hand.at(1000.0, thing)
    by_hand.run_due()
    assert ["a", "b", "c"] == book


def test_who_asks_twice_is_called_twice(by_hand: Schedule) -> None:
    """The second call finds nothing to do."""
    thing = Thing()
    by_hand.at(1000.0, thing)
    by_hand.at(999.0, thing)
    by_hand.run_due()
    assert 2 == len(thing.book)


def test_what_nobody_holds_is_forgotten(by_hand: Schedule) -> None:
    """The schedule keeps nothing alive."""
    book: list[str] = []
    gone, kept = Thing(book, "gone"), Thing(book, "kept")
    by_hand.at(1000.0, gone)
    by_hand.at(1000.0, kept)
    del gone
    gc.collect()
    assert None is by_hand.run_due()
    assert ["kept"] == book


def test_one_that_fails_does_not_end_the_others(
    by_hand: Schedule, caplog: pytest.LogCaptureFixture
) -> None:
    """Its failure is logged, and the next is called."""
    broken, thing = Broken(), Thing()
    by_hand.at(999.0, broken)
    by_hand.at(1000.0, thing)
    with caplog.at_level(logging.ERROR, "tenantry"):
        by_hand.run_due()
    assert 1 == len(thing.book)
    assert ["tenantry: a scheduled refresh failed"] == caplog.messages


def test_a_thing_may_ask_again_while_it_is_called(by_hand: Schedule) -> None:
    """No lock is held meanwhile."""
    other = Thing()

    class Asks:
        def due(self) -> None:
            by_hand.at(1000.0, other)

    asks = Asks()
    by_hand.at(1000.0, asks)
    by_hand.run_due()
    assert 1 == len(other.book)


def test_a_closed_schedule_calls_nobody(by_hand: Schedule) -> None:
    """What was asked for before is dropped, what is asked for later is ignored."""
    thing = Thing()
    by_hand.at(1000.0, thing)
    by_hand.close()
    by_hand.at(1000.0, thing)
    assert (None, []) == (by_hand.run_due(), thing.book)
    by_hand.close()


# -- on its thread --------------------------------------------------------------------------------


def ended(thread: threading.Thread) -> bool:
    thread.join(LIMIT)
    return not thread.is_alive()


def test_its_thread_calls_what_is_due_and_ends(schedule: Schedule) -> None:
    """It is a daemon that exists while something is to come."""
    thing = Thing()
    schedule.at(time.monotonic(), thing)
    thing.wait_until_called()
    [thread] = thing.threads
    assert ("tenantry-schedule", True) == (thread.name, thread.daemon)
    assert ended(thread)
    schedule.at(time.monotonic(), thing)
    thing.wait_until_called()
    assert thread is not thing.threads[1]


def test_what_is_nearer_wakes_its_thread(schedule: Schedule) -> None:
    """A thread that naps until a far instant looks again when a nearer one is asked for."""
    far, near, last = Thing(), Thing(), Thing()
    schedule.at(time.monotonic() + 3600.0, far)
    schedule.at(time.monotonic() + 7200.0, last)
    schedule.at(time.monotonic(), near)
    near.wait_until_called()
    assert ([], []) == (far.book, last.book)


def test_closing_ends_its_thread(schedule: Schedule) -> None:
    """However far the next instant is."""
    far, near = Thing(), Thing()
    schedule.at(time.monotonic() + 3600.0, far)
    schedule.at(time.monotonic(), near)
    near.wait_until_called()
    schedule.close()
    assert ended(near.threads[0])


@pytest.mark.parametrize("seconds", [0.0, 0.05])
def test_what_is_asked_for_just_before_a_nap_ends_it(seconds: float) -> None:
    """A nearer instant that comes between the look and the nap is not slept through."""
    far, near, asked = Thing(), Thing(), threading.Event()

    class Raced(Schedule):
        def run_due(self) -> float | None:
            pause = super().run_due()
            if not asked.is_set():
                asked.set()
                self.at(time.monotonic() + seconds, near)
            return pause

    raced = Raced()
    raced.at(time.monotonic() + 3600.0, far)
    try:
        assert near.called.acquire(timeout=2.0)
    finally:
        raced.close()


def test_without_a_thread_the_next_who_asks_tries_again(
    schedule: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that could have no thread may have one later, and nothing is lost."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    early, late = Thing(), Thing()
    with monkeypatch.context() as broken:
        broken.setattr(threading.Thread, "start", start)
        schedule.at(time.monotonic(), early)
    assert [] == early.book
    schedule.at(time.monotonic(), late)
    early.wait_until_called()
    late.wait_until_called()


# -- after a fork ---------------------------------------------------------------------------------


def test_a_child_keeps_what_is_due_and_has_its_own_thread(schedule: Schedule) -> None:
    """What the parent asked for is called in the child, once something is asked for there."""
    parents = Thing()
    schedule.at(time.monotonic() + 3600.0, parents)

    def work() -> bool:  # pragma: no cover  # runs in the child
        childs = Thing()
        schedule.at(time.monotonic(), childs)
        return childs.called.acquire(timeout=LIMIT) and len(schedule._heap) == 1

    with schedule._changed:  # another thread of the parent is in the middle of something
        assert in_child(work)


def test_a_child_needs_not_ask_for_what_its_parent_asked_for(schedule: Schedule) -> None:
    """It is called in the child, whose thread starts by itself once locks are its own."""
    thing = Thing()
    schedule.at(time.monotonic() + 0.2, thing)

    def work() -> bool:  # pragma: no cover  # runs in the child
        return thing.called.acquire(timeout=LIMIT)

    with schedule._changed:
        assert in_child(work)
    thing.wait_until_called()


def test_a_child_of_a_schedule_that_is_over_has_no_thread(schedule: Schedule) -> None:
    """Neither of one with nothing to do, nor of a closed one."""
    closed = Schedule()
    closed.at(time.monotonic() + 3600.0, Thing())
    closed.close()

    def work() -> bool:  # pragma: no cover  # runs in the child
        return (None, None) == (schedule._thread, closed._thread)

    assert in_child(work)


def test_a_child_that_gets_no_thread_tries_again(
    schedule: Schedule, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its parent does: what is due waits for the next who asks."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    parents, childs = Thing(), Thing()
    schedule.at(time.monotonic() + 3600.0, parents)

    def work() -> bool:  # pragma: no cover  # runs in the child
        monkeypatch.undo()
        schedule.at(time.monotonic(), childs)
        return childs.called.acquire(timeout=LIMIT)

    monkeypatch.setattr(threading.Thread, "start", start)
    assert in_child(work)


def test_starting_twice_makes_one_thread(schedule: Schedule) -> None:
    """A child whose thread was started by whoever asked first needs no other."""
    schedule.at(time.monotonic() + 3600.0, Thing())
    first = schedule._thread
    schedule._start()
    assert first is schedule._thread
