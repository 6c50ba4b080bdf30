from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from tenantry import keeper as module
from tenantry.errors import Failure, SourceError
from tenantry.flight import worded
from tenantry.freshness import RefreshPolicy
from tenantry.keeper import Keeper
from tenantry.secret import Document

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.keeper.conftest import Kept

    from tenantry.flight import Change
    from tenantry.holding import Held
    from tenantry.refresher import Refresher

LIMIT = 10.0  # seconds after which a test that hangs fails
PLANTED = "sk-planted"


def version(held: Held) -> str:
    return held.document.version


# -- what a fetch may bring -----------------------------------------------------------------------


@pytest.mark.parametrize("lifetime", [0.0, -5.0, float("nan")])
def test_a_document_that_arrives_expired_is_a_failure(kept: Kept, lifetime: float) -> None:
    """An expired document does not replace a usable one, and the error hints at the clock."""
    held = kept.hold()
    kept.store.reply = Document("v2", lifetime=lifetime)
    kept.clock.now += 100.0
    kept.keeper.current()
    error = kept.landed().error
    assert "already expired" in str(error)
    assert "clock" in str(error)
    assert held is kept.keeper.current()


@pytest.mark.parametrize(
    "error",
    [
        ValueError(PLANTED),
        KeyError(PLANTED),
        SystemExit(PLANTED),
        KeyboardInterrupt(PLANTED),
        GeneratorExit(PLANTED),
        asyncio.CancelledError(PLANTED),
    ],
)
def test_whatever_a_source_raises_is_its_failure(kept: Kept, error: BaseException) -> None:
    """Nothing that a fetch raises leaves waiters hanging; its text, a secret maybe, is not kept."""
    kept.store.reply = error
    cause = kept.unavailable().cause
    assert f"the source failed with {type(error).__name__} at conftest.py:" in str(cause)
    assert (Failure.TRANSIENT, None) == (cause.failure, cause.__cause__)
    assert PLANTED not in str(cause)


def test_a_fetch_that_returns_no_document_is_a_failure(kept: Kept) -> None:
    """A source that forgets to return one does not break its callers."""
    kept.store.reply = "a text"  # type: ignore[assignment]  # the mistake
    assert "failed with AttributeError" in str(kept.unavailable().cause)


def test_an_exception_without_a_traceback_is_worded_too() -> None:
    """Where nobody knows the place, the type is told."""
    assert "the source failed with ValueError" == str(worded(ValueError(PLANTED)))


def test_a_listener_that_fails_costs_nothing(kept: Kept, refresher: Refresher) -> None:
    """The document is there, whatever becomes of the news of it."""

    def broken(_: Change) -> None:
        raise ValueError(PLANTED)

    keeper = Keeper(kept.store, refresher, "store", RefreshPolicy(every=0.0), on_change=broken)
    assert "1" == version(keeper.current())
    keeper.refresh().wait(LIMIT)
    assert 2 == len(kept.store.asked)


def test_where_no_thread_can_be_had_what_is_held_serves(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that cannot start threads goes on with what it has, and says why it has no more."""

    def submit(lane: str, job: Callable[[], None]) -> None:
        raise RuntimeError("can't start new thread")

    held = kept.hold()
    monkeypatch.setattr(kept.keeper._refresher, "submit", submit)
    kept.clock.now += 100.0
    assert held is kept.keeper.current()
    kept.clock.now += 1000.0
    assert "cannot start another thread" in str(kept.unavailable().cause)


# -- late flights ---------------------------------------------------------------------------------


def lose_a_flight(kept: Kept) -> threading.Event:
    """Let a flight hang for longer than a flight may take; what is returned lets it land."""
    go_on = kept.store.hang()
    kept.keeper.prefetch()
    kept.store.wait_until_asked()
    kept.clock.now += module.FLIGHT_LIMIT + 0.1
    kept.store.go_on = threading.Event()
    kept.store.go_on.set()
    return go_on


def test_a_late_flight_is_given_up(kept: Kept) -> None:
    """After a minute a flight counts as failed, and another one takes its place."""
    go_on = lose_a_flight(kept)
    assert "no answer within 60 s" == str(kept.unavailable().cause)
    kept.clock.now += 2.0
    assert "1" == version(kept.keeper.current())
    assert 2 == len(kept.store.asked)
    go_on.set()


@pytest.mark.parametrize("late", [Document("old", version="old"), SourceError("late")])
def test_a_late_answer_does_not_replace_a_newer_one(
    kept: Kept, late: Document | SourceError
) -> None:
    """What a lost flight brings after another has delivered is dropped, failures too."""
    kept.store.reply = late
    go_on = lose_a_flight(kept)
    kept.unavailable()
    kept.store.reply = Document("new", version="new")
    kept.clock.now += 2.0
    newer = kept.keeper.current()
    kept.landed()
    go_on.set()
    change = kept.landed()
    assert (newer, None, None) == (change.held, change.previous, change.error)
    assert (newer, None) == (kept.keeper.held, kept.keeper.error)
    assert kept.keeper.backoff.allows(kept.clock.now)


def test_a_late_answer_is_better_than_none(kept: Kept) -> None:
    """A lost flight that lands after all is welcome where nothing came since."""
    go_on = lose_a_flight(kept)
    kept.unavailable()
    go_on.set()
    kept.landed()
    assert "1" == version(kept.keeper.current())
    assert 1 == len(kept.store.asked)


def test_what_waited_for_a_thread_too_long_is_not_flown(kept: Kept, refresher: Refresher) -> None:
    """A flight that was given up before a thread was free asks nobody."""
    busy = threading.Event()
    for _ in range(8):
        refresher.submit("store", lambda: assert_set(busy))
    kept.keeper.prefetch()
    kept.clock.now += module.FLIGHT_LIMIT + 0.1
    kept.unavailable()
    kept.clock.now += 2.0
    flight = kept.keeper.prefetch()
    busy.set()
    assert flight is not None
    flight.wait(LIMIT)
    assert [False] == kept.store.asked


def assert_set(event: threading.Event) -> None:
    assert event.wait(LIMIT)


# -- what is told ---------------------------------------------------------------------------------


def test_flights_are_reported_in_their_order(kept: Kept) -> None:
    """Who was told that a flight landed finds it reported already."""
    kept.hold()
    for number in range(200):
        kept.store.reply = Document(str(number), version=str(number))
        kept.keeper.refresh().wait(LIMIT)
        change = kept.changes.get_nowait()
        assert change.held is not None
        assert str(number) == version(change.held)


def test_it_is_told_how_long_a_fetch_took(kept: Kept) -> None:
    """Whether it delivered or not; what was overtaken is not told."""
    for reply in (Document("v2"), SourceError("sealed")):
        kept.store.reply, go_on = reply, kept.store.hang()
        kept.keeper.refresh()
        kept.store.wait_until_asked()
        kept.clock.now += 3.0
        go_on.set()
        assert 3.0 == kept.landed().seconds


# -- what was announced ---------------------------------------------------------------------------


def test_what_flew_before_an_instant_is_not_believed(kept: Kept) -> None:
    """A first fetch that began before a rotation may bring the old value: another one begins."""
    kept.impatient()
    late = kept.store.hang()
    kept.unavailable()
    kept.store.wait_until_asked()
    kept.clock.now += 1.0
    kept.store.reply, kept.store.go_on = Document("v2", version="2"), threading.Event()
    kept.store.go_on.set()
    kept.keeper.outdate(kept.clock.now)
    kept.landed()
    late.set()
    kept.landed()
    assert "2" == version(kept.keeper.current())
    assert [False, True] == kept.store.asked


def test_of_what_flew_before_an_instant_another_is_due(kept: Kept) -> None:
    """Where the newer fetch fails, the older one's value serves and the next fetch is not late."""
    kept.impatient()
    late = kept.store.hang()
    kept.unavailable()
    kept.store.wait_until_asked()
    kept.clock.now += 1.0
    kept.keeper.obey(RefreshPolicy(every=100.0))
    kept.store.reply, kept.store.go_on = SourceError("sealed"), threading.Event()
    kept.keeper.outdate(kept.clock.now)
    kept.store.wait_until_asked()
    late.set()
    kept.landed()
    kept.store.go_on.set()
    assert "sealed" == str(kept.landed().error)
    kept.clock.now += 10.0
    kept.store.reply = Document("v2", version="2")
    assert "1" == version(kept.keeper.current())
    kept.landed()
    assert "2" == version(kept.keeper.current())


def test_tenants_that_share_a_document_rotate_it_once(kept: Kept) -> None:
    """Whoever announces the same instant joins the fetch that it started."""
    kept.hold()
    kept.clock.now += 1.0
    go_on = kept.store.hang()
    for _ in range(100):
        kept.keeper.outdate(kept.clock.now)
    go_on.set()
    kept.landed()
    assert [True] == kept.store.asked


def test_an_instant_ahead_is_waited_for(kept: Kept) -> None:
    """Who announces a rotation may have a clock that is ahead of this machine's."""
    kept.hold()
    for _ in range(3):
        kept.keeper.outdate(kept.clock.now + 30.0)
    kept.keeper.due()
    assert [] == kept.store.asked
    kept.clock.now += 30.0
    kept.store.reply = Document("v2", version="2")
    for _ in range(3):
        kept.keeper.due()
    kept.landed()
    assert "2" == version(kept.keeper.current())
    assert [True] == kept.store.asked
