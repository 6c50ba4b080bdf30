from __future__ import annotations

import threading

import pytest

from tenantry.testing.openai.controls import (
    UNDISTURBED,
    Controls,
    Interruption,
    Orders,
    StreamOrders,
)

BUSY = Interruption(429, 2.0)
DOWN = Interruption(503)


@pytest.fixture
def controls() -> Controls:
    return Controls(threading.RLock())


def interrupt(
    controls: Controls,
    interruption: Interruption,
    *,
    times: int | None = 1,
    key: str | None = None,
    path: str | None = None,
) -> None:
    controls.interrupt(interruption, times=times, key=key, path=path)


def taken(controls: Controls, key: str | None = None, path: str = "/v1/models") -> int | None:
    interruption = controls.take(key, path).interruption
    return None if interruption is None else interruption.status


def test_nothing_is_ordered_at_first(controls: Controls) -> None:
    """A request and a stream without orders pass undisturbed."""
    assert (UNDISTURBED, StreamOrders()) == (
        controls.take("k1", "/v1/models"),
        controls.take_for_stream(),
    )


def test_interruptions_are_used_up_in_order(controls: Controls) -> None:
    """Each interruption is taken its times, the first one first."""
    interrupt(controls, BUSY, times=2)
    interrupt(controls, DOWN)
    assert [429, 429, 503, None] == [taken(controls) for _ in range(4)]


def test_no_times_means_until_reset(controls: Controls) -> None:
    """An interruption without a number of times stays until reset."""
    interrupt(controls, DOWN, times=None)
    before = [taken(controls) for _ in range(3)]
    controls.reset()
    assert ([503, 503, 503], None) == (before, taken(controls))


def test_zero_times_is_never(controls: Controls) -> None:
    """An interruption of zero requests interrupts none."""
    interrupt(controls, DOWN, times=0)
    assert taken(controls) is None


def test_an_interruption_waits_for_its_key(controls: Controls) -> None:
    """Other keys' requests neither get nor use up an interruption."""
    interrupt(controls, DOWN, key="k2")
    assert [None, None, 503, None] == [taken(controls, key) for key in (None, "k1", "k2", "k2")]


def test_an_interruption_waits_for_its_path(controls: Controls) -> None:
    """A path matches from its end, so that prefixes need not be spelled out."""
    interrupt(controls, DOWN, path="/embeddings")
    assert [None, 503] == [taken(controls, path=f"/v1/{end}") for end in ("models", "embeddings")]


def test_a_delay_and_an_interruption_go_together(controls: Controls) -> None:
    """A slow server can fail, too."""
    controls.slow(3, times=1)
    interrupt(controls, DOWN)
    assert Orders(3, DOWN) == controls.take(None, "/v1/models")


def test_the_last_delay_counts(controls: Controls) -> None:
    """A new delay replaces the one before, and zero ends it."""
    controls.slow(3, times=None)
    controls.slow(1, times=None)
    slow = controls.take(None, "/")
    controls.slow(0, times=None)
    assert (Orders(1), UNDISTURBED) == (slow, controls.take(None, "/"))


def test_streams_have_orders_of_their_own(controls: Controls) -> None:
    """Pace and cut wait for a stream; a cut is used up, a pace stays."""
    controls.pace(0.5)
    controls.cut(2, times=1)
    request = controls.take(None, "/")
    streams = [controls.take_for_stream() for _ in range(2)]
    assert (UNDISTURBED, [StreamOrders(0.5, 2), StreamOrders(0.5)]) == (request, streams)


def test_reset_ends_everything(controls: Controls) -> None:
    """After reset nothing is ordered."""
    controls.pace(0.5)
    controls.cut(2, times=None)
    controls.slow(1, times=None)
    controls.reset()
    assert (UNDISTURBED, StreamOrders()) == (controls.take(None, "/"), controls.take_for_stream())
