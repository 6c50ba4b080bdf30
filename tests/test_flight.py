from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

import pytest

from tenantry.errors import Failure, SourceError
from tenantry.flight import Change, Flight, Reason, worded

LIMIT = 10.0  # seconds after which a test that hangs fails


def flight(reason: Reason = Reason.DUE) -> Flight:
    return Flight(0.0, Future[None](), reason)


@pytest.mark.parametrize(
    ("reason", "forced"),
    [(Reason.DUE, False), (Reason.REJECTED, True), (Reason.WANTED, True)],
)
def test_what_is_not_merely_due_is_forced(reason: Reason, forced: bool) -> None:
    """A 401 and a refresh by hand must not be answered from a source's own cache."""
    assert forced == flight(reason).forced


def test_who_waits_goes_on_when_it_landed() -> None:
    """A thread that waits is woken by the outcome, long before its limit."""
    flying = flight()
    waiting = threading.Thread(target=flying.wait, args=(LIMIT,))
    waiting.start()
    flying.done.set_result(None)
    waiting.join(LIMIT / 2)
    assert not waiting.is_alive()


def test_nobody_waits_longer_than_the_limit() -> None:
    """Past its limit a thread goes on without the outcome."""
    flying = flight()
    flying.wait(0.0)
    assert not flying.done.done()


async def test_tasks_that_await_it_go_on_when_it_landed() -> None:
    """Many tasks await one flight, and it lands on another thread."""
    flying = flight()
    waiting = [asyncio.create_task(flying.await_(LIMIT)) for _ in range(10)]
    await asyncio.sleep(0)
    await asyncio.to_thread(flying.done.set_result, None)
    async with asyncio.timeout(LIMIT / 2):
        await asyncio.gather(*waiting)


async def test_a_flight_that_landed_is_not_awaited() -> None:
    """Who comes late goes on at once."""
    flying = flight()
    flying.done.set_result(None)
    async with asyncio.timeout(LIMIT / 2):
        await flying.await_(LIMIT)


async def test_no_task_waits_longer_than_the_limit() -> None:
    """Past its limit a task goes on without the outcome."""
    flying = flight()
    await flying.await_(0.0)
    assert not flying.done.done()


async def test_a_cancelled_task_takes_nobody_along() -> None:
    """The flight goes on for those who still wait."""
    flying = flight()
    impatient, patient = (asyncio.create_task(flying.await_(LIMIT)) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    assert not flying.done.cancelled()
    flying.done.set_result(None)
    async with asyncio.timeout(LIMIT / 2):
        await patient


def test_a_flight_outlives_the_loop_that_awaited_it() -> None:
    """Landing after a loop was closed disturbs nobody."""
    flying = flight()
    asyncio.run(flying.await_(0.0))
    flying.done.set_result(None)
    assert flying.done.done()


def test_a_change_brings_good_news_unless_it_says_otherwise() -> None:
    """No error, nothing refused, something usable."""
    change = Change(None, None)
    assert (None, 0.0, True, False) == (
        change.error,
        change.retry_in,
        change.usable,
        change.rejected,
    )


def test_a_sources_own_error_is_passed_on() -> None:
    """It was worded by those who know."""
    error = SourceError("sealed", failure=Failure.DENIED)
    assert error is worded(error)


def test_an_exception_is_worded_without_its_text() -> None:
    """Its type and its place are told; what it says may quote a secret."""
    with pytest.raises(ValueError, match="invalid literal") as caught:
        int("sk-planted")
    said = str(worded(caught.value))
    assert said.startswith("the source failed with ValueError at test_flight.py:")
    assert "sk-planted" not in said


def test_an_exception_that_was_never_raised_has_no_place() -> None:
    """Its type alone is told."""
    assert "the source failed with ValueError" == str(worded(ValueError("sk-planted")))
