"""An engine is asked who changed every so often, and when it calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.catalog.lazy.conftest import Estate


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
