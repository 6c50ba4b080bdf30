from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tenantry.errors import Failure, SourceError
from tenantry.flight import Unavailable
from tenantry.freshness import Freshness, Limits, RefreshPolicy
from tenantry.secret import Document

if TYPE_CHECKING:
    from tests.keeper.conftest import Kept

    from tenantry.holding import Held

LIMIT = 10.0  # seconds after which a test that hangs fails


def version(held: Held) -> str:
    return held.document.version


# -- fresh, stale, expired ------------------------------------------------------------------------


def test_a_fresh_document_is_served_without_a_fetch(kept: Kept) -> None:
    """Until it is stale, what is held is returned and nobody is asked."""
    held = kept.hold()
    kept.clock.now += 99.9
    assert held is kept.keeper.current()
    assert Limits(1100.0, 2100.0) == held.limits
    assert ([], Freshness.FRESH) == (kept.store.asked, kept.keeper.freshness())
    assert kept.keeper.prefetch() is None


def test_a_stale_document_is_served_at_once(kept: Kept) -> None:
    """While the source hangs, stale reads return what is held, behind exactly one flight."""
    held, go_on = kept.hold(), kept.store.hang()
    kept.store.reply = Document("v2", version="2")
    kept.clock.now += 100.0
    assert [held] * 50 == [kept.keeper.current() for _ in range(50)]
    kept.store.wait_until_asked()
    assert ([False], Freshness.STALE) == (kept.store.asked, kept.keeper.freshness())
    go_on.set()
    change = kept.landed()
    assert ("2", "1") == (version(kept.keeper.current()), version(change.previous or held))


async def test_a_stale_document_is_served_at_once_to_tasks(kept: Kept) -> None:
    """Tasks do not wait for a refresh either."""
    held = await kept.keeper.acurrent()
    kept.landed()
    kept.store.hang()
    kept.clock.now += 100.0
    assert [held] * 50 == [await kept.keeper.acurrent() for _ in range(50)]
    await asyncio.to_thread(kept.store.wait_until_asked)
    await asyncio.to_thread(kept.store.wait_until_asked)
    assert 2 == len(kept.store.asked)


def test_an_expired_document_is_not_served(kept: Kept) -> None:
    """Past its hard limit a document is fetched anew, and the caller waits for it."""
    kept.hold()
    kept.store.reply = Document("v2", version="2")
    kept.clock.now += 1100.0
    assert Freshness.EXPIRED is kept.keeper.freshness()
    assert "2" == version(kept.keeper.current())


def test_a_source_that_hangs_costs_a_bounded_wait(kept: Kept) -> None:
    """Where none is held, a caller waits at most `wait`, and learns that the answer is late."""
    kept.impatient()
    kept.store.hang()
    late = kept.unavailable()
    assert ("no answer within 0.01 s", 0.01) == (str(late.cause), late.retry_after)
    assert 1 == len(kept.store.asked)


async def test_a_source_that_hangs_costs_a_task_a_bounded_wait(kept: Kept) -> None:
    """A task waits no longer than a thread."""
    kept.impatient()
    kept.store.hang()
    with pytest.raises(Unavailable, match=r"^$"):
        await kept.keeper.acurrent()


def test_within_the_back_off_nobody_waits_or_asks(kept: Kept) -> None:
    """After a failure, callers are told at once what it was and when the next attempt is."""
    kept.store.reply = SourceError("sealed")
    assert "sealed" == str(kept.unavailable().cause)
    kept.store.hang()
    kept.clock.now += 1.0
    again = kept.unavailable()
    assert ("sealed", 0.25, 1) == (str(again.cause), again.retry_after, len(kept.store.asked))


def test_after_the_back_off_the_source_is_asked_again(kept: Kept) -> None:
    """A store that comes back serves from the next attempt on."""
    kept.store.reply = SourceError("sealed")
    kept.unavailable()
    kept.store.reply = Document("v1", version="1")
    kept.clock.now += 1.25
    assert "1" == version(kept.keeper.current())
    assert (None, 0) == (kept.keeper.error, kept.keeper.backoff.failures)


def test_a_failure_behind_a_stale_document_harms_nobody(kept: Kept) -> None:
    """While a usable document is held, a failing source delays the refresh and nothing else."""
    held = kept.hold()
    kept.store.reply = SourceError("sealed")
    kept.clock.now += 100.0
    assert held is kept.keeper.current()
    change = kept.landed()
    assert (held, None, True, 1.25) == (
        change.held,
        change.previous,
        change.usable,
        change.retry_in,
    )
    assert held is kept.keeper.current()
    assert 1 == len(kept.store.asked)


@pytest.mark.parametrize(
    ("error", "delays"),
    [
        (SourceError("x"), [1.25, 2.5, 5 / 1.2, 5 / 1.2]),
        (SourceError("x", failure=Failure.ABSENT), [1.25, 2.5]),
        (SourceError("x", failure=Failure.DENIED), [30.0, 60.0, 120.0, 300.0, 300.0]),
        (SourceError("x", retry_after=20.0), [20.0, 20.0]),
    ],
)
def test_how_soon_a_source_is_asked_again(
    kept: Kept, error: SourceError, delays: list[float]
) -> None:
    """What is absent may come any moment; who was denied waits; Retry-After is honoured."""
    kept.store.reply = error
    for delay in delays:
        assert pytest.approx(delay) == kept.unavailable().retry_after
        kept.clock.now += delay


# -- one flight for all ---------------------------------------------------------------------------


async def test_a_cold_document_is_fetched_once_for_all(kept: Kept) -> None:
    """64 threads and 20 tasks that come first share one fetch and one document."""
    go_on, together = kept.store.hang(), threading.Barrier(65)

    def ask() -> Held:
        together.wait(LIMIT)
        return kept.keeper.current()

    with ThreadPoolExecutor(64) as threads:
        asking = [threads.submit(ask) for _ in range(64)]
        tasks = [asyncio.create_task(kept.keeper.acurrent()) for _ in range(20)]
        await asyncio.to_thread(together.wait, LIMIT)
        await asyncio.to_thread(kept.store.wait_until_asked)
        go_on.set()
        found = {id(held) for held in await asyncio.gather(*tasks)}
        found |= {id(each.result(LIMIT)) for each in asking}
    assert ({id(kept.keeper.held)}, [False]) == (found, kept.store.asked)


async def test_a_cancelled_task_does_not_cancel_the_flight(kept: Kept) -> None:
    """Who gives up waiting takes nothing away from the others."""
    go_on = kept.store.hang()
    leaves, stays = (asyncio.create_task(kept.keeper.acurrent()) for _ in range(2))
    await asyncio.to_thread(kept.store.wait_until_asked)
    leaves.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaves
    go_on.set()
    assert "1" == version(await stays)
    assert 1 == len(kept.store.asked)


def test_a_loop_that_closes_while_waiting_harms_nobody(
    kept: Kept, caplog: pytest.LogCaptureFixture
) -> None:
    """A flight lands also for waiters whose event loop is gone, without a word."""
    go_on, loop = kept.store.hang(), asyncio.new_event_loop()
    waiting = loop.create_task(kept.keeper.acurrent())
    loop.run_until_complete(asyncio.sleep(0))
    waiting.cancel()
    loop.run_until_complete(asyncio.gather(waiting, return_exceptions=True))
    loop.close()
    with caplog.at_level(logging.DEBUG):
        go_on.set()
        assert "1" == version(kept.keeper.current())
        kept.landed()
    assert [] == [each.name for each in caplog.records if each.name != "asyncio"]


def test_several_loops_wait_for_one_flight(kept: Kept) -> None:
    """Tasks on loops of different threads get the same document."""
    go_on = kept.store.hang()

    def on_a_loop(_: int) -> str:
        return version(asyncio.run(kept.keeper.acurrent()))

    with ThreadPoolExecutor(4) as threads:
        asking = [threads.submit(on_a_loop, number) for number in range(4)]
        kept.store.wait_until_asked()
        go_on.set()
        assert ["1"] * 4 == [each.result(LIMIT) for each in asking]
    assert 1 == len(kept.store.asked)


def test_prefetching_does_not_wait(kept: Kept) -> None:
    """A prefetch starts the one flight that later callers join."""
    kept.store.hang()
    flight = kept.keeper.prefetch()
    assert flight is not None
    assert flight is kept.keeper.prefetch()
    assert not flight.done.done()


# -- limits shared by tenants ---------------------------------------------------------------------


def test_tightening_takes_the_smaller_of_each_limit(kept: Kept) -> None:
    """Tenants that share a document share the smallest of their limits, at once."""
    held = kept.hold()
    kept.keeper.obey(
        kept.keeper.policy.tightened(
            RefreshPolicy(every=10.0, max_stale=5000.0, overlap=7.0, wait=99.0)
        )
    )
    assert RefreshPolicy(10.0, 1000.0, 7.0, LIMIT) == kept.keeper.policy
    tightened = kept.keeper.held
    assert tightened is not None
    assert (Limits(1010.0, 2010.0), held.document) == (tightened.limits, tightened.document)
    kept.keeper.obey(
        kept.keeper.policy.tightened(RefreshPolicy(every=1e9, max_stale=1e9, overlap=1e9, wait=1e9))
    )
    assert tightened is kept.keeper.held


def test_whoever_is_denied_asks_ever_more_rarely(kept: Kept) -> None:
    """A login that is refused is tried again after 30, 60, 120 and 300 s, whoever asks."""
    kept.store.reply = SourceError("denied", failure=Failure.DENIED)
    kept.unavailable()
    for attempts, pause in enumerate((30.0, 60.0, 120.0, 300.0, 300.0), start=1):
        kept.landed()
        kept.clock.now += pause - 0.1
        told = kept.unavailable()
        assert (attempts, 0.1) == (len(kept.store.asked), round(told.retry_after, 3))
        kept.clock.now += 0.1
        kept.unavailable()
