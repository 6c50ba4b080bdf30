"""An engine is asked who changed every so often, and when it calls."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

from tests.catalog.lazy.conftest import Estate

if TYPE_CHECKING:
    from collections.abc import Callable


def test_it_looks_every_so_often(estate: Estate) -> None:
    """After each look the next is asked for, a quarter sooner or later; an early call is none."""
    [when] = estate.book.calls
    assert 1.5 <= when - estate.hour <= 2.5
    follower = estate.catalog._follower
    follower.due()
    assert [] == estate.book.jobs
    estate.hour = when
    follower.due()
    estate.book.work()
    assert (2, 2) == (estate.shelf.polls, len(estate.book.calls))


def test_a_call_wakes_it(estate: Estate) -> None:
    """Calls of the engine make one look, not one each."""
    assert estate.shelf.on_call is not None
    estate.shelf.put("acme")
    estate.shelf.on_call()
    estate.shelf.on_call()
    assert 1 == len(estate.book.jobs)
    estate.book.work()
    assert estate.shelf.now == estate.catalog.revision


def test_without_threads_it_tries_later(estate: Estate) -> None:
    """A process that can have no more threads goes on looking when it can."""

    def refuse(lane: str, job: Callable[[], None]) -> None:
        raise RuntimeError

    follower, submit = estate.catalog._follower, estate.book.submit
    follower._submit = refuse
    follower.wake()
    assert 2 == len(estate.book.calls)
    follower._submit = submit
    follower.wake()
    assert 1 == len(estate.book.jobs)


def test_closed(estate: Estate) -> None:
    """Once closed it looks no more, and its engine is closed, too."""
    estate.catalog.close()
    estate.catalog._follower.wake()
    assert ([], "it is closed") == (estate.book.jobs, estate.shelf.away)


class Line:
    """A listener whose thread holds what it calls."""

    alive = True

    def __init__(self, woken: Callable[[], None]) -> None:
        self.woken = woken
        self.ended = False

    def stop(self) -> None:
        self.ended = True

    close = stop


def with_lines() -> tuple[Estate, list[Line]]:
    """Return an estate whose engine calls, and the lines on which it does."""
    estate, lines = Estate(), list[Line]()
    shelf: Any = estate.shelf

    def listen(woken: Callable[[], None]) -> Line:
        lines.append(Line(woken))
        return lines[-1]

    shelf.listen = listen
    estate.catalog._follower._begin()
    estate.book.work()
    return estate, lines


def test_a_child_listens_once() -> None:
    """The line lives through a fork by itself: the child opens no second one beside it."""
    estate, lines = with_lines()
    follower = estate.catalog._follower
    follower.after_fork()
    follower._begin()  # what follows when all began anew
    assert 1 == len(lines)
    estate.book.work()
    lines[0].woken()
    assert 1 == len(estate.book.jobs)
    estate.catalog.close()
    assert lines[0].ended


def test_a_line_ends_with_whom_it_wakes() -> None:
    """A catalog that nobody holds any more, and nobody closed, leaves no thread behind."""
    estate, lines = with_lines()
    estate.catalog.poll()
    del estate
    gc.collect()
    assert lines[0].ended
    lines[0].woken()
