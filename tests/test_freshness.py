from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.errors import Failure
from tenantry.freshness import (
    FARTHEST_AHEAD,
    FORCED_BASE,
    FORCED_CAP,
    TRANSIENT_CAP,
    TRANSIENT_CAP_UNUSABLE,
    Ahead,
    Backoff,
    Freshness,
    Limits,
    RefreshPolicy,
    forced_delay,
    limits,
)

POLICY = RefreshPolicy(every=300.0, max_stale=1000.0)

instants = st.floats(-1e6, 1e6)
seconds = st.floats(0.001, 1e7)
dice = st.floats(0.0, 1.0)
counts = st.integers(0, 5000)


# -- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (9.9, Freshness.FRESH),
        (10.0, Freshness.STALE),
        (19.9, Freshness.STALE),
        (20.0, Freshness.EXPIRED),
    ],
)
def test_freshness_changes_at_the_limits(now: float, expected: Freshness) -> None:
    """Before `soft` a secret is fresh, before `hard` stale, from then on expired."""
    assert expected is Limits(10.0, 20.0).freshness(now)


@pytest.mark.parametrize(("thrown", "soft"), [(0.0, 370.0), (0.5, 400.0), (1.0, 430.0)])
def test_a_static_secret_is_stale_after_every(thrown: float, soft: float) -> None:
    """One that does not expire is refreshed after `every`, give or take a tenth."""
    assert Limits(soft, soft + 1000.0) == limits(100.0, POLICY, thrown)


@pytest.mark.parametrize(("thrown", "soft"), [(0.0, 2100.0), (1.0, 1800.0)])
def test_an_expiring_secret_is_stale_after_two_thirds(thrown: float, soft: float) -> None:
    """One that expires is refreshed at two thirds of its life, up to a tenth of it earlier."""
    assert Limits(soft, 3100.0) == limits(100.0, POLICY, thrown, lifetime=3000.0)


@pytest.mark.parametrize(("thrown", "soft"), [(0.0, 1100.0), (1.0, 800.0)])
def test_a_source_may_say_when_to_refresh(thrown: float, soft: float) -> None:
    """`refresh_in` takes the place of the two thirds."""
    assert Limits(soft, 3100.0) == limits(100.0, POLICY, thrown, lifetime=3000.0, refresh_in=1000.0)


def test_a_wish_for_an_early_refresh_is_not_eaten_by_the_jitter() -> None:
    """A `refresh_in` shorter than the jitter does not make a secret stale on arrival."""
    assert 50.0 == limits(0.0, POLICY, 1.0, lifetime=3600.0, refresh_in=100.0).soft


@pytest.mark.parametrize(("refresh_in", "soft"), [(0.0, 1.0), (-5.0, 1.0), (9e9, 3600.0)])
def test_an_odd_wish_neither_storms_nor_outlives_the_secret(refresh_in: float, soft: float) -> None:
    """`refresh_in` is kept between a second and the secret's end."""
    assert soft == limits(0.0, POLICY, 0.0, lifetime=3600.0, refresh_in=refresh_in).soft


def test_an_endless_life_is_none() -> None:
    """A lifetime of infinity is that of a secret that does not say when it expires."""
    assert limits(0.0, POLICY, 0.5) == limits(0.0, POLICY, 0.5, lifetime=math.inf)


@given(instants, dice, seconds, st.none() | seconds, st.none() | st.floats(-10.0, 1e7))
def test_limits_are_in_order(
    got: float, thrown: float, span: float, lifetime: float | None, refresh_in: float | None
) -> None:
    """However the dice fall, `got` <= `soft` <= `hard`, and `hard` is where it was promised."""
    policy = RefreshPolicy(every=span, max_stale=span)
    found = limits(got, policy, thrown, lifetime=lifetime, refresh_in=refresh_in)
    assert got <= found.soft <= found.hard
    assert found.hard == (found.soft + span if lifetime is None else got + lifetime)


@given(dice, seconds)
def test_an_expiring_secret_is_fresh_for_a_while(thrown: float, lifetime: float) -> None:
    """What has a life ahead is never stale on arrival."""
    assert limits(0.0, POLICY, thrown, lifetime=lifetime).soft > 0.0


# -- back-off -------------------------------------------------------------------------------------


def delays(
    failure: Failure, thrown: float, *, usable: bool, left: float = math.inf, count: int = 8
) -> list[float]:
    backoff, found = Backoff(), list[float]()
    for _ in range(count):
        backoff = backoff.after(failure, 0.0, thrown, usable=usable, left=left)
        found.append(backoff.until)
    return found


def test_nothing_is_held_back_before_a_failure() -> None:
    """A new back-off allows a fetch at any time."""
    assert Backoff().allows(-1e9)


def test_a_back_off_ends_at_its_instant() -> None:
    """Before `until` nobody is asked, from then on somebody may be."""
    backoff = Backoff().after(Failure.TRANSIENT, 10.0, 0.0, usable=True)
    assert (False, True) == (backoff.allows(10.9), backoff.allows(11.0))


def test_transient_failures_double_up_to_a_cap() -> None:
    """While something usable is held, a source is asked again after 1 to 60 s."""
    assert [1, 2, 4, 8, 16, 32, 40, 40] == delays(Failure.TRANSIENT, 0.0, usable=True)
    assert [1.5, 3, 6, 12, 24, 48, 60, 60] == delays(Failure.TRANSIENT, 1.0, usable=True)


def test_with_nothing_usable_the_cap_is_short() -> None:
    """Somebody waits for it: a source is asked again after at most 5 s."""
    assert [1.5, 3, 5, 5] == delays(Failure.TRANSIENT, 1.0, usable=False, count=4)


def test_near_its_end_a_secret_is_fetched_more_often() -> None:
    """The last minute of what is held is not spent in one long back-off."""
    assert [1.5, 3, 6, 10, 10] == delays(Failure.TRANSIENT, 1.0, usable=True, left=40.0, count=5)
    assert 5 == delays(Failure.TRANSIENT, 1.0, usable=True, left=1.0)[-1]


@pytest.mark.parametrize("usable", [False, True])
@pytest.mark.parametrize("thrown", [0.0, 1.0])
def test_who_is_denied_waits_long(usable: bool, thrown: float) -> None:
    """A denial is repeated after 30, 60, 120, 300 s, whoever wants the secret."""
    assert [30, 60, 120, 300, 300] == delays(Failure.DENIED, thrown, usable=usable, count=5)


@pytest.mark.parametrize(
    ("failure", "said", "expected"),
    [
        (Failure.TRANSIENT, 20.0, 20.0),
        (Failure.TRANSIENT, 0.2, 1.0),
        (Failure.TRANSIENT, 3600.0, 60.0),
        (Failure.TRANSIENT, math.inf, 60.0),
        (Failure.TRANSIENT, math.nan, 1.0),
        (Failure.TRANSIENT, -5.0, 1.0),
        (Failure.DENIED, 1.0, 30.0),
    ],
)
def test_retry_after_is_honoured_within_limits(
    failure: Failure, said: float, expected: float
) -> None:
    """A source may ask for a longer pause, of at most a minute, and for no shorter one."""
    assert expected == Backoff().after(failure, 0.0, 0.0, usable=True, retry_after=said).until


@given(counts, dice, st.booleans(), seconds)
def test_transient_delays_are_bounded(
    failures: int, thrown: float, usable: bool, left: float
) -> None:
    """No delay is shorter than a second or longer than its cap, after however many failures."""
    backoff = Backoff(failures).after(Failure.TRANSIENT, 0.0, thrown, usable=usable, left=left)
    assert 1.0 <= backoff.until <= (TRANSIENT_CAP if usable else TRANSIENT_CAP_UNUSABLE) + 1e-9
    assert failures + 1 == backoff.failures


@given(counts, dice, st.booleans(), st.sampled_from(Failure))
def test_delays_do_not_shrink(failures: int, thrown: float, usable: bool, failure: Failure) -> None:
    """With the same dice, one more failure never makes the next attempt come sooner."""
    shorter = Backoff(failures).after(failure, 0.0, thrown, usable=usable)
    longer = Backoff(failures + 1).after(failure, 0.0, thrown, usable=usable)
    assert shorter.until <= longer.until


@given(counts)
def test_forced_fetches_double_up_to_ten_minutes(unchanged: int) -> None:
    """A 401 forces another fetch after 5 s, 10 s and so on, and after 600 s at the latest."""
    assert FORCED_BASE <= forced_delay(unchanged) <= forced_delay(unchanged + 1) <= FORCED_CAP
    assert [5.0, 10.0, 20.0, 40.0] == [forced_delay(count) for count in range(4)]


def test_an_instant_that_is_announced_comes_once() -> None:
    """However often it is said, it is waited for once; of several that came the latest counts."""
    ahead = Ahead()
    assert [11.0, None, 21.0] == [ahead.wait_for(each, 0.0) for each in (10.1, 10.9, 20.5)]
    assert None is ahead.come(10.9)
    assert 21.0 == ahead.come(30.0)
    assert None is ahead.come(30.0)


def test_an_instant_far_ahead_is_not_waited_for() -> None:
    """A slip of the pen does not stay in memory for years."""
    ahead = Ahead()
    assert None is ahead.wait_for(FARTHEST_AHEAD + 1, 0.0)
    assert None is ahead.come(math.inf)
