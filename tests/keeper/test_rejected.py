"""What a keeper does when the service answers 401, and when somebody wants a refresh now."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tenantry import keeper as module
from tenantry.errors import Failure, SourceError
from tenantry.freshness import RefreshPolicy
from tenantry.secret import Document, Secret

if TYPE_CHECKING:
    from tests.keeper.conftest import Kept

    from tenantry.holding import Held

LIMIT = 10.0  # seconds after which a test that hangs fails
V1, V2, V3 = Secret("v1"), Secret("v2"), Secret("v3")


def read(held: Held) -> Secret | None:
    try:
        return held.document.secret(None, "api_key")
    except SourceError:
        return None


def better(kept: Kept, used: Secret) -> Secret | None:
    found = kept.keeper.replacement(used, read)
    return None if found is None else read(found)


async def abetter(kept: Kept, used: Secret) -> Secret | None:
    found = await kept.keeper.areplacement(used, read)
    return None if found is None else read(found)


def rotate(kept: Kept, value: str) -> None:
    """Let the keeper fetch another value in the ordinary way."""
    kept.store.reply = Document(value)
    kept.keeper.refresh().wait(LIMIT)
    kept.landed()
    kept.store.wait_until_asked()
    kept.store.asked.clear()


# -- a better secret ------------------------------------------------------------------------------


def test_what_is_held_is_compared_first(kept: Kept) -> None:
    """A rejected secret that is no longer the current one is answered with the current one."""
    kept.hold()
    rotate(kept, "v2")
    assert (V2, []) == (better(kept, V1), kept.store.asked)


def test_a_rotated_secret_is_fetched(kept: Kept) -> None:
    """A rejected current secret makes one forced fetch, and its value is the better one."""
    kept.hold()
    kept.store.reply = Document("v2")
    assert (V2, [True]) == (better(kept, V1), kept.store.asked)


def test_where_nothing_is_held_one_is_fetched(kept: Kept) -> None:
    """A keeper that holds nothing fetches before it answers."""
    assert (V1, [True]) == (better(kept, V2), kept.store.asked)


async def test_many_401s_make_one_fetch(kept: Kept) -> None:
    """32 threads and 20 tasks that were all rejected share one forced fetch."""
    await asyncio.to_thread(kept.hold)
    go_on, together = kept.store.hang(), threading.Barrier(33)
    kept.store.reply = Document("v2")

    def ask() -> Secret | None:
        together.wait(LIMIT)
        return better(kept, V1)

    with ThreadPoolExecutor(32) as threads:
        asking = [threads.submit(ask) for _ in range(32)]
        tasks = [asyncio.create_task(abetter(kept, V1)) for _ in range(20)]
        await asyncio.to_thread(together.wait, LIMIT)
        await asyncio.to_thread(kept.store.wait_until_asked)
        go_on.set()
        assert {V2} == set(await asyncio.gather(*tasks))
        assert {V2} == {each.result(LIMIT) for each in asking}
    assert [True] == kept.store.asked


def test_an_unchanged_secret_is_no_better(kept: Kept) -> None:
    """Where the source still says the same, the 401 is handed on."""
    kept.hold()
    assert (None, [True]) == (better(kept, V1), kept.store.asked)


def test_the_previous_secret_serves_while_both_overlap(kept: Kept) -> None:
    """A new value that is rejected at first is answered with its predecessor, for `overlap`."""
    kept.hold()
    rotate(kept, "v2")
    kept.clock.now += 49.9
    assert (V1, [True]) == (better(kept, V2), kept.store.asked)
    kept.clock.now += 0.2
    assert (None, [True]) == (better(kept, V2), kept.store.asked)


def test_a_previous_secret_that_was_rejected_is_no_way_out(kept: Kept) -> None:
    """Of two that were both rejected, the current one is returned, and never the one used."""
    kept.hold()
    rotate(kept, "v2")
    assert V2 == better(kept, V1)
    kept.store.reply = Document("v1")
    assert V1 == better(kept, V2)


def test_a_document_without_the_field_is_no_better(kept: Kept) -> None:
    """Where the new document lacks the secret, the previous one serves, or nothing does."""
    kept.hold()
    rotate(kept, "")
    assert V1 == better(kept, V2)
    assert V1 == better(kept, V3)
    assert None is better(kept, V1)


# -- how often ------------------------------------------------------------------------------------


def test_forced_fetches_that_bring_nothing_become_rare(kept: Kept) -> None:
    """After each 401 without a new value the source is left alone for 5, 10, 20 s."""
    kept.hold()
    for delay in (5.0, 10.0, 20.0):
        assert None is better(kept, V1)
        asked = len(kept.store.asked)
        kept.clock.now += delay - 0.1
        assert None is better(kept, V1)
        assert asked == len(kept.store.asked)
        kept.clock.now += 0.1
    assert [True] * 3 == kept.store.asked


def test_who_joins_a_forced_fetch_does_not_raise_its_back_off(kept: Kept) -> None:
    """Fifty rejected requests count once."""
    kept.hold()
    go_on = kept.store.hang()
    with ThreadPoolExecutor(50) as threads:
        asking = [threads.submit(better, kept, V1) for _ in range(50)]
        kept.store.wait_until_asked()
        go_on.set()
        assert {None} == {each.result(LIMIT) for each in asking}
    kept.clock.now += 5.0
    better(kept, V1)
    assert [True, True] == kept.store.asked


@pytest.mark.parametrize("forced", [True, False])
def test_a_changed_value_lifts_the_back_off(kept: Kept, forced: bool) -> None:
    """Whoever fetched the new value, the next 401 may force a fetch at once."""
    kept.hold()
    for delay in (5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 100.0):
        better(kept, V1)
        kept.clock.now += delay
    kept.store.reply = Document("v2")
    if forced:
        kept.clock.now += 220.0
        assert V2 == better(kept, V1)
    else:
        flight = kept.keeper.prefetch()
        assert flight is not None
        flight.wait(LIMIT)
    kept.store.asked.clear()
    kept.store.reply = Document("v3")
    assert (V3, [True]) == (better(kept, V2), kept.store.asked)


def test_a_refresh_that_somebody_wanted_is_not_counted(kept: Kept) -> None:
    """Refreshing by hand, however often, does not hold up the fetch that a 401 forces."""
    kept.hold()
    for _ in range(10):
        kept.keeper.refresh().wait(LIMIT)
    kept.store.asked.clear()
    kept.store.reply = Document("v2")
    assert (V2, [True]) == (better(kept, V1), kept.store.asked)


def test_a_forced_fetch_that_fails_loses_nothing(kept: Kept) -> None:
    """With the source down, what is held goes on serving, and 401s do not ask again meanwhile."""
    held = kept.hold()
    kept.store.reply = SourceError("sealed")
    assert None is better(kept, V1)
    assert held is kept.keeper.current()
    assert None is better(kept, V1)
    assert [True] == kept.store.asked
    kept.store.reply = Document("v2")
    kept.clock.now += 1.25
    assert V2 == better(kept, V1)


def test_a_source_that_refuses_us_is_not_asked_whoever_wants_it(kept: Kept) -> None:
    """Within the back-off of a denial a 401 forces nothing: lockouts count attempts."""
    kept.hold()
    kept.store.reply = SourceError("denied", failure=Failure.DENIED)
    kept.clock.now += 100.0
    kept.keeper.current()
    kept.landed()
    assert (None, [False]) == (better(kept, V1), kept.store.asked)
    kept.clock.now += 30.0
    assert (None, [False, True]) == (better(kept, V1), kept.store.asked)


def test_a_transient_failure_does_not_keep_a_401_from_asking(kept: Kept) -> None:
    """A store that hiccuped may have the new value by now."""
    kept.hold()
    kept.store.reply = SourceError("hiccup")
    kept.clock.now += 100.0
    kept.keeper.current()
    kept.landed()
    kept.store.reply = Document("v2")
    assert V2 == better(kept, V1)


# -- beside other flights -------------------------------------------------------------------------


def test_a_forced_fetch_overtakes_an_ordinary_one(kept: Kept) -> None:
    """What flew before the 401 may bring the rejected value: it is not what counts."""
    kept.hold()
    slow = kept.store.hang()
    kept.clock.now += 100.0
    kept.keeper.prefetch()
    kept.store.wait_until_asked()
    kept.store.go_on = threading.Event()
    kept.store.go_on.set()
    kept.store.reply = Document("v2")
    assert V2 == better(kept, V1)
    kept.landed()
    slow.set()
    kept.landed()
    held = kept.keeper.held
    assert held is not None
    assert (V2, [False, True]) == (read(held), kept.store.asked)


def test_who_waits_for_an_overtaken_flight_waits_on(kept: Kept) -> None:
    """A caller that joined the ordinary flight gets what the forced one brings."""
    first = kept.store.hang()
    kept.store.reply = SourceError("hiccup")
    with ThreadPoolExecutor(2) as threads:
        waiting = threads.submit(kept.keeper.current)
        kept.store.wait_until_asked()
        second = kept.store.hang()
        kept.store.reply = Document("v2")
        kept.keeper.refresh()
        kept.store.wait_until_asked()
        first.set()
        kept.landed()
        assert not waiting.done()
        second.set()
        assert V2 == read(waiting.result(LIMIT))


def test_a_flight_without_a_thread_is_overtaken_too(kept: Kept) -> None:
    """An ordinary flight that waits for a thread when a 401 comes is not flown at all."""
    kept.hold()
    busy, begun = threading.Event(), threading.Semaphore(0)

    def job() -> None:
        begun.release()
        assert busy.wait(LIMIT)

    for _ in range(8):
        kept.keeper._refresher.submit("store", job)
    for _ in range(8):
        assert begun.acquire(timeout=LIMIT)
    kept.clock.now += 100.0
    kept.keeper.prefetch()
    kept.store.reply = Document("v2")
    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(better, kept, V1)
        busy.set()
        assert V2 == asking.result(LIMIT)
    assert kept.store.asked in ([True], [False, True])


def test_a_forced_fetch_that_hangs_is_waited_for_no_longer_than_any(kept: Kept) -> None:
    """A rejected caller whose fetch is late gets the previous secret, or none."""
    kept.hold()
    rotate(kept, "v2")
    kept.impatient()
    kept.store.hang()
    assert V1 == better(kept, V2)
    assert V1 == better(kept, V2)
    assert [True] == kept.store.asked


async def test_a_hanging_fetch_is_waited_for_no_longer_by_tasks(kept: Kept) -> None:
    """A task whose forced fetch is late hands the 401 on."""
    await asyncio.to_thread(kept.hold)
    kept.impatient()
    kept.store.hang()
    assert None is await abetter(kept, V1)


def test_a_lost_forced_fetch_does_not_block_those_to_come(kept: Kept) -> None:
    """After a minute without an answer both a 401 and a refresh may start another flight."""
    kept.hold()
    first = kept.keeper.refresh()
    first.wait(LIMIT)
    kept.store.hang()
    lost = kept.keeper.refresh()
    assert lost is kept.keeper.refresh()
    kept.clock.now += module.FLIGHT_LIMIT + 1
    kept.store.go_on.set()
    assert lost is not kept.keeper.refresh()
    assert lost.done.done()


def test_a_refresh_joins_the_forced_fetch_on_its_way(kept: Kept) -> None:
    """Two who want a refresh at the same time share it, past any back-off."""
    kept.store.reply = SourceError("denied", failure=Failure.DENIED)
    kept.unavailable()
    go_on = kept.store.hang()
    kept.store.reply = Document("v2")
    flight = kept.keeper.refresh()
    assert flight is kept.keeper.refresh()
    go_on.set()
    flight.wait(LIMIT)
    assert V2 == read(kept.keeper.current())


def test_tightening_the_overlap_concerns_the_next_rotation(kept: Kept) -> None:
    """An overlap of nothing keeps no previous value."""
    kept.keeper.obey(kept.keeper.policy.tightened(RefreshPolicy(overlap=0.0)))
    kept.hold()
    rotate(kept, "v2")
    assert None is better(kept, V2)
