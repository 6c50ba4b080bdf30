from __future__ import annotations

import math

from tenantry.errors import SourceError
from tenantry.freshness import Freshness, Limits
from tenantry.holding import Held, Holding, Trial
from tenantry.secret import Document, Secret

OVERLAP = 50.0
V1, V2, V3 = Secret("v1"), Secret("v2"), Secret("v3")


def value(text: str, got: float = 0.0) -> Held:
    """A value that is stale after 100 seconds, and unusable after 1,000."""
    return Held(Document(text), Limits(got + 100.0, got + 1000.0), got)


def read(held: Held) -> Secret | None:
    try:
        return held.document.secret(None, "api_key")
    except SourceError:
        return None


def take(holding: Holding, fresh: Held, *, drop_previous: bool = False) -> Held:
    holding.take(fresh, overlap=OVERLAP, drop_previous=drop_previous)
    return fresh


def accepted(holding: Holding, held: Held, now: float = 0.0) -> bool:
    return holding.accepted(held.document, now, overlap=OVERLAP)


def served(holding: Holding, now: float, *, trying: bool = False) -> Held | None:
    return holding.served(now, trying=trying, overlap=OVERLAP)


def on_trial(text: str = "v2", *, got: float = 10.0) -> tuple[Holding, Held, Held]:
    """A holding whose old value was accepted, that value, and the new one."""
    holding = Holding()
    old = take(holding, value("v1"))
    assert accepted(holding, old)
    return holding, old, take(holding, value(text, got))


# -- a value comes --------------------------------------------------------------------------------


def test_nothing_is_held_at_first() -> None:
    """Before a value came none serves, and none may be read without looking."""
    holding = Holding()
    assert (None, None, None) == (holding.held, holding.newest, served(holding, 0.0))
    assert (Freshness.EXPIRED, False) == (holding.freshness(0.0), holding.usable(0.0))
    assert -math.inf == holding.fresh_until


def test_the_first_value_serves_at_once() -> None:
    """Nobody has accepted it, and there is no other."""
    holding = Holding()
    first = take(holding, value("v1"))
    assert (first, first, None) == (served(holding, 0.0), holding.newest, holding.trial)
    assert 100.0 == holding.fresh_until


def test_a_value_serves_until_it_expires() -> None:
    """It is fresh, then stale and served, then expired and not served."""
    holding = Holding()
    first = take(holding, value("v1"))
    assert (Freshness.FRESH, first) == (holding.freshness(99.9), served(holding, 99.9))
    assert (Freshness.STALE, first) == (holding.freshness(999.9), served(holding, 999.9))
    assert (Freshness.EXPIRED, None) == (holding.freshness(1000.0), served(holding, 1000.0))


def test_the_same_value_again_lives_longer() -> None:
    """It is still the one that the service accepted, and it is not tried."""
    holding = Holding()
    accepted(holding, take(holding, value("v1")))
    again = take(holding, value("v1", 90.0))
    assert (again, again.document, None) == (holding.held, holding.proven, holding.trial)
    assert 190.0 == holding.fresh_until


def test_the_same_value_again_is_not_accepted_by_that() -> None:
    """What nobody accepted is not proven by coming twice."""
    holding = Holding()
    take(holding, value("v1"))
    take(holding, value("v1", 90.0))
    assert None is holding.proven


def test_a_changed_value_goes_on_trial() -> None:
    """The accepted one goes on serving, and the new one is known."""
    holding, old, new = on_trial()
    assert (old, new) == (served(holding, 10.0), holding.newest)


def test_a_value_on_trial_is_looked_at_by_every_request() -> None:
    """Nothing may be read without looking once the new value can be tried."""
    holding, _, _ = on_trial()
    assert 10.0 == holding.fresh_until


def test_a_predecessor_that_nobody_accepted_retires_at_once() -> None:
    """The new value serves; the old one is kept for as long as both may be in use."""
    holding = Holding()
    old = take(holding, value("v1"))
    new = take(holding, value("v2", 10.0))
    assert (new, None) == (served(holding, 10.0), holding.trial)
    assert old is holding.previous_but(V2, read, 59.9)
    assert None is holding.previous_but(V2, read, 60.0)


def test_an_expired_predecessor_retires_at_once() -> None:
    """What could not be served any more does not hold up its successor."""
    holding, _, _ = on_trial()
    third = take(holding, value("v3", 1000.0))
    assert (third, None) == (served(holding, 1000.0), holding.trial)


def test_what_came_to_drop_its_predecessors_serves_at_once() -> None:
    """Neither the accepted value nor the one on trial serves again."""
    holding, _, _ = on_trial()
    third = take(holding, value("v3", 20.0), drop_previous=True)
    assert (third, None) == (served(holding, 20.0, trying=True), holding.trial)
    assert None is holding.previous_but(V3, read, 20.0)


def test_the_value_on_trial_that_comes_again_keeps_its_place() -> None:
    """It lives longer, and it is not tried any sooner."""
    holding, old, new = on_trial()
    assert new is served(holding, 10.0, trying=True)
    again = take(holding, value("v2", 11.0))
    assert (again, 1) == (holding.newest, holding.trial and holding.trial.tries)
    assert old is served(holding, 14.9, trying=True)
    assert again is served(holding, 15.0, trying=True)


def test_all_values_that_may_be_in_use() -> None:
    """What serves, what is on trial, and a predecessor for as long as it is kept."""
    assert [] == Holding().all(0.0)
    holding, old, new = on_trial(got=10.0)
    assert [old, new] == holding.all(10.0)
    assert accepted(holding, new, 20.0)
    assert ([new, old], [new]) == (holding.all(69.0), holding.all(20.0 + OVERLAP))


def test_a_third_value_is_tried_at_once() -> None:
    """Whoever mended a wrong value does not wait for the turn of the wrong one."""
    holding, _, new = on_trial()
    assert new is served(holding, 10.0, trying=True)
    third = take(holding, value("v3", 11.0))
    assert third is served(holding, 11.0, trying=True)


def test_a_value_that_is_taken_back_ends_the_trial() -> None:
    """The accepted value came again: there is nothing to try."""
    holding, _, _ = on_trial()
    back = take(holding, value("v1", 20.0))
    assert (back, None) == (served(holding, 20.0, trying=True), holding.trial)
    assert back.document is holding.proven


def test_what_was_removed_is_forgotten() -> None:
    """Nothing serves, nothing is tried, and nothing older is kept."""
    holding, _, _ = on_trial()
    holding.drop()
    assert (None, None) == (holding.newest, served(holding, 10.0, trying=True))
    assert -math.inf == holding.fresh_until


def test_limits_only_become_tighter() -> None:
    """Each of the two limits moves to the sooner instant."""
    holding = Holding()
    take(holding, value("v1"))
    holding.tighten(Limits(200.0, 500.0))
    assert holding.held is not None
    assert Limits(100.0, 500.0) == holding.held.limits
    holding.tighten(Limits(50.0, 600.0))
    assert (Limits(50.0, 500.0), 50.0) == (holding.held.limits, holding.fresh_until)


def test_where_nothing_is_held_there_is_nothing_to_tighten() -> None:
    """Limits that come before the first value change nothing."""
    holding = Holding()
    holding.tighten(Limits(1.0, 2.0))
    assert None is holding.held


# -- what is mistrusted ---------------------------------------------------------------------------


def test_what_came_before_the_instant_is_stale() -> None:
    """It serves until another comes, and is looked at until then."""
    holding = Holding()
    take(holding, value("v1"))
    assert holding.outdate(5.0, 10.0)
    assert (Freshness.STALE, 10.0) == (holding.freshness(10.0), holding.fresh_until)
    assert holding.usable(10.0)


def test_what_is_on_trial_since_before_the_instant_is_mistrusted_too() -> None:
    """It is the newest: as long as it was fresh, nobody would look for another."""
    holding, _, _ = on_trial()
    assert holding.outdate(20.0, 30.0)
    assert holding.newest is not None
    assert Freshness.STALE is holding.newest.limits.freshness(30.0)


def test_what_came_after_the_instant_is_trusted() -> None:
    """It stays as fresh as it was."""
    holding = Holding()
    take(holding, value("v1"))
    assert not holding.outdate(0.0, 10.0)
    assert Freshness.FRESH is holding.freshness(10.0)


def test_where_nothing_is_held_nothing_is_mistrusted() -> None:
    """An instant that comes before the first value changes nothing."""
    assert not Holding().outdate(5.0, 10.0)


def test_a_predecessor_from_before_the_instant_is_forgotten() -> None:
    """It is no way out any more, although the current value is trusted."""
    holding = Holding()
    take(holding, value("v1"))
    take(holding, value("v2", 10.0))
    assert not holding.outdate(10.0, 20.0)
    assert None is holding.previous_but(V2, read, 20.0)


def test_a_predecessor_from_after_the_instant_is_kept() -> None:
    """It came after what happened."""
    holding = Holding()
    old = take(holding, value("v1"))
    take(holding, value("v2", 10.0))
    assert not holding.outdate(0.0, 20.0)
    assert old is holding.previous_but(V2, read, 20.0)


# -- a value is asked for -------------------------------------------------------------------------


def test_one_caller_at_a_time_tries_the_new_value() -> None:
    """At 0, 5, 15 and 35 seconds one of those who try gets it, and all others the old one."""
    holding, old, new = on_trial()
    for start, delay in ((10.0, 5.0), (15.0, 10.0), (25.0, 20.0), (45.0, 40.0)):
        assert old is served(holding, start)
        assert new is served(holding, start, trying=True)
        assert old is served(holding, start, trying=True)
        assert old is served(holding, start + delay - 0.1, trying=True)
        assert start + delay == holding.fresh_until or holding.fresh_until == 110.0


def test_the_new_value_serves_once_the_old_one_expired() -> None:
    """Untried or refused, it is better than nothing, and the old one is kept for a while."""
    holding, old, new = on_trial(got=990.0)
    assert old is served(holding, 999.9)
    assert (new, None) == (served(holding, 1000.0), holding.trial)


def test_a_value_on_trial_serves_where_nothing_else_is_held() -> None:
    """It needs no predecessor."""
    holding, new = Holding(), value("v2")
    holding.trial = Trial(new, 0.0)
    assert new is served(holding, 0.0)
    assert None is holding.previous_but(V2, read, 0.0)


def test_the_newest_value_is_found_unless_it_was_used() -> None:
    """A value on trial counts, and one that lacks the secret does not."""
    holding, _, new = on_trial()
    assert new is holding.newest_but(V1, read)
    assert None is holding.newest_but(V2, read)
    assert None is Holding().newest_but(V1, read)
    holding, _, _ = on_trial("")
    assert None is holding.newest_but(V1, read)


def test_the_predecessor_is_found_unless_it_was_used() -> None:
    """Where there is none, or it was used, there is no way back."""
    holding = Holding()
    assert None is holding.previous_but(V2, read, 0.0)
    old = take(holding, value("v1"))
    take(holding, value("v2"))
    assert old is holding.previous_but(V2, read, 0.0)
    assert None is holding.previous_but(V1, read, 0.0)


# -- the service judges ---------------------------------------------------------------------------


def test_what_serves_is_proven_by_its_acceptance() -> None:
    """The service accepted it: a later value has to earn its place."""
    holding = Holding()
    held = take(holding, value("v1"))
    assert accepted(holding, held)
    assert held.document is holding.proven


def test_an_accepted_value_ends_its_trial() -> None:
    """It serves everybody, and the old one is kept for `overlap` from then on."""
    holding, old, new = on_trial()
    assert accepted(holding, new, 20.0)
    assert (new, None) == (served(holding, 20.0), holding.trial)
    assert new.document is holding.proven
    assert old is holding.previous_but(V2, read, 69.9)
    assert None is holding.previous_but(V2, read, 70.0)


def test_the_acceptance_of_the_old_value_does_not_end_the_trial() -> None:
    """That the old one works says nothing about the new one."""
    holding, old, new = on_trial()
    assert accepted(holding, old)
    assert (old, new) == (holding.held, holding.newest)


def test_the_acceptance_of_what_is_gone_proves_nothing() -> None:
    """A late answer to an older value, or one when nothing is held, changes nothing."""
    holding = Holding()
    stranger = value("v0")
    assert not accepted(holding, stranger)
    take(holding, value("v1"))
    assert not accepted(holding, stranger)
    assert None is holding.proven


def test_a_refused_value_on_trial_is_news_once() -> None:
    """The old one serves in its place, and whoever tries it later brings no news."""
    holding, old, _ = on_trial()
    assert (old, True) == holding.refused(V2, read)
    assert (old, False) == holding.refused(V2, read)


def test_the_refusal_of_another_value_does_not_concern_the_trial() -> None:
    """A 401 for the old value, or without a trial, is told to somebody else."""
    holding, _, _ = on_trial()
    assert (None, False) == holding.refused(V1, read)
    assert (None, False) == Holding().refused(V1, read)


def test_an_old_value_without_the_secret_does_not_stand_in() -> None:
    """The refusal is news all the same."""
    holding, old, _ = on_trial()

    def read_new(held: Held) -> Secret | None:
        return None if held is old else read(held)

    assert (None, True) == holding.refused(V2, read_new)
