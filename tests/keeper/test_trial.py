"""What a keeper does with a new value of a document that the service had accepted."""

from __future__ import annotations

import queue
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tenantry.breaker import OPENS_AFTER, PROBE_EVERY, Breaker
from tenantry.errors import Failure, SourceError
from tenantry.flight import Unavailable
from tenantry.keeper import Keeper
from tenantry.secret import Document, Secret

if TYPE_CHECKING:
    from tests.keeper.conftest import Kept

    from tenantry.flight import Change
    from tenantry.holding import Held
    from tenantry.refresher import Refresher

LIMIT = 10.0  # seconds after which a test that hangs fails
V1, V2, V3 = Secret("v1"), Secret("v2"), Secret("v3")


def read(held: Held) -> Secret | None:
    try:
        return held.document.secret(None, "api_key")
    except SourceError:
        return None


def replaced(kept: Kept, used: Secret, tenant: str = "") -> Secret | None:
    """Return what a request is sent again with after a 401, and see the flight behind it land."""
    found = kept.keeper.replacement(used, read, tenant)
    flight = kept.keeper._flight
    if flight is not None:
        flight.wait(LIMIT)
    return None if found is None else read(found)


def serving(kept: Kept) -> Secret | None:
    return read(kept.keeper.current())


def tried(kept: Kept) -> Secret | None:
    return read(kept.keeper.current(trying=True))


def fetched(kept: Kept, value: str, *, drop_previous: bool = False) -> None:
    """Let the keeper fetch a value in the ordinary way."""
    kept.store.reply = Document(value, version=value)
    kept.keeper.refresh(drop_previous=drop_previous).wait(LIMIT)
    kept.store.asked.clear()


def accept(kept: Kept, *, trying: bool = False) -> None:
    """Send a request that the service accepts."""
    kept.keeper.accepted(kept.keeper.current(trying=trying))


def rejections(kept: Kept) -> list[Change]:
    """Return the refusals that were reported so far."""
    found: list[Change] = []
    while True:
        try:
            found.append(kept.changes.get_nowait())
        except queue.Empty:
            return [change for change in found if change.rejected]


@pytest.fixture
def proven(kept: Kept) -> Kept:
    """A keeper whose value the service accepted."""
    kept.keeper.accepted(kept.hold())
    return kept


@pytest.fixture
def trial(proven: Kept) -> Kept:
    """A keeper with an accepted value, and a new one on trial."""
    fetched(proven, "v2")
    return proven


# -- who tries it ---------------------------------------------------------------------------------


def test_one_request_tries_a_new_value(trial: Kept) -> None:
    """It gets the new one, and the others get the one that the service accepted."""
    assert [V1, V2, V1, V1] == [serving(trial), tried(trial), tried(trial), serving(trial)]


def test_of_many_at_once_one_tries_it(trial: Kept) -> None:
    """32 threads that would all try a new value send it once."""
    with ThreadPoolExecutor(32) as threads:
        found = list(threads.map(lambda _: tried(trial), range(200)))
    assert (1, 199) == (found.count(V2), found.count(V1))


# -- how it ends ----------------------------------------------------------------------------------


def test_an_accepted_value_serves_everybody(trial: Kept) -> None:
    """Its trial is over, and nothing was refused."""
    accept(trial, trying=True)
    assert [V2, V2] == [serving(trial), tried(trial)]
    assert [] == rejections(trial)


def test_the_old_value_is_kept_for_overlap_from_the_first_acceptance(trial: Kept) -> None:
    """Until then a 401 of the new one is answered with the old one."""
    trial.clock.now += 30.0
    accept(trial, trying=True)
    trial.clock.now += 49.9
    assert V1 == replaced(trial, V2)
    trial.clock.now += 0.2
    assert None is replaced(trial, V2)


def test_a_refused_value_is_tried_ever_more_rarely(trial: Kept) -> None:
    """One request tries it after 5, 10, 20 s and so on, and the refusal is reported once."""
    for delay in (5.0, 10.0, 20.0, 40.0):
        assert V2 == tried(trial)
        assert V1 == replaced(trial, V2)
        assert {V1} == {serving(trial), *(tried(trial) for _ in range(10))}
        trial.clock.now += delay - 0.1
        assert V1 == tried(trial)
        trial.clock.now += 0.1
    [change] = rejections(trial)
    assert change.held is not None
    assert change.previous is not None
    assert (V2, V1) == (read(change.held), read(change.previous))


def test_a_refused_value_is_asked_after(trial: Kept) -> None:
    """The source may have been mended: its first refusal forces a fetch, and then paces do."""
    tried(trial)
    replaced(trial, V2)
    replaced(trial, V2)
    assert [True] == trial.store.asked
    trial.clock.now += 5.0
    replaced(trial, V2)
    assert [True, True] == trial.store.asked


def test_a_mended_value_is_tried_at_once(trial: Kept) -> None:
    """The third value does not wait for the turn of the second."""
    tried(trial)
    replaced(trial, V2)
    fetched(trial, "v3")
    assert [V3, V1] == [tried(trial), tried(trial)]
    accept(trial)
    assert V1 == serving(trial)


def test_a_value_that_is_taken_back_ends_the_trial(trial: Kept) -> None:
    """The old value is the newest again, and nobody tries anything."""
    tried(trial)
    replaced(trial, V2)
    fetched(trial, "v1")
    assert trial.keeper.held is trial.keeper.holding.newest
    trial.clock.now += 50.0
    assert [V1, V1] == [tried(trial), serving(trial)]


def test_the_new_value_serves_once_the_old_one_expired(kept: Kept) -> None:
    """A refused value is better than none: the refusal may have been the service's mistake."""
    kept.store.reply = Document("v1", lifetime=60.0)
    kept.keeper.accepted(kept.hold())
    fetched(kept, "v2")
    tried(kept)
    replaced(kept, V2)
    kept.clock.now += 59.9
    assert V1 == serving(kept)
    kept.clock.now += 0.2
    assert [V2, V2] == [serving(kept), tried(kept)]


def test_a_predecessor_that_nobody_accepted_retires_at_once(kept: Kept) -> None:
    """Of two that the service never accepted the newer one serves."""
    kept.hold()
    fetched(kept, "v2")
    assert [V2, V2] == [serving(kept), tried(kept)]


def test_an_acceptance_counts_for_the_same_value_fetched_again(trial: Kept) -> None:
    """A request that outlasts a refresh tells of the value that it was sent with."""
    held = trial.keeper.current(trying=True)
    fetched(trial, "v2")
    trial.keeper.accepted(held)
    assert V2 == serving(trial)


# -- what may not serve again ---------------------------------------------------------------------


def test_what_drops_its_predecessors_is_not_tried(trial: Kept) -> None:
    """It serves at once, and neither the old value nor the one on trial does."""
    fetched(trial, "v3", drop_previous=True)
    assert [V3, V3] == [serving(trial), tried(trial)]
    assert None is replaced(trial, V3)


def test_what_came_before_an_instant_is_replaced(proven: Kept) -> None:
    """The fetch that mistrust starts brings the value that serves, and nothing older is left."""
    proven.clock.now += 10.0
    proven.store.reply = Document("v2")
    proven.keeper.outdate(proven.clock.now)
    proven.landed()
    assert [V2, V2] == [serving(proven), tried(proven)]
    assert None is replaced(proven, V2)


def test_mistrust_outlasts_a_failed_fetch(proven: Kept) -> None:
    """The value that comes after the store was down serves at once, too."""
    proven.clock.now += 10.0
    proven.store.reply = SourceError("sealed")
    proven.keeper.outdate(proven.clock.now)
    proven.landed()
    proven.clock.now += 5.0
    proven.store.reply = Document("v2")
    proven.keeper.prefetch()
    proven.landed()
    assert V2 == serving(proven)


def test_mistrust_of_a_value_on_trial_outlasts_a_failed_fetch(trial: Kept) -> None:
    """The next who asks has it fetched again, although what is on trial came lately."""
    trial.clock.now += 10.0
    trial.store.reply = SourceError("sealed")
    trial.keeper.outdate(trial.clock.now)
    trial.landed()
    trial.clock.now += 5.0
    trial.store.reply = Document("v3")
    assert V1 == serving(trial)
    trial.landed()
    assert V3 == serving(trial)


@pytest.mark.parametrize("trying", [True, False])
def test_a_predecessor_that_expired_is_no_way_out(kept: Kept, trying: bool) -> None:
    """Within its overlap a token that ran out is as useless as any."""
    kept.store.reply = Document("v1", lifetime=20.0)
    kept.keeper.accepted(kept.hold())
    fetched(kept, "v2")
    accept(kept, trying=trying)
    kept.clock.now += 20.0
    assert V2 == serving(kept)
    assert None is replaced(kept, V2)


def test_a_value_on_trial_that_expired_is_not_tried(proven: Kept) -> None:
    """A short-lived new value that nobody could replace is not sent past its end."""
    proven.store.reply = Document("v2", lifetime=4.0)
    proven.keeper.refresh().wait(LIMIT)
    assert V2 == tried(proven)
    proven.store.reply = SourceError("sealed")
    proven.clock.now += 5.0
    assert V1 == tried(proven)


def test_a_document_that_lacks_what_is_read_is_not_taken(kept: Kept) -> None:
    """A renamed field is a failed refresh, and the old document serves."""
    kept.keeper.expect("key", "api_key")
    kept.store.reply = Document({"key": "v1"})
    held = kept.hold()
    kept.store.reply = Document({"renamed": "v2"})
    kept.keeper.refresh().wait(LIMIT)
    change = kept.landed()
    assert "the document has no field 'key'; it has: renamed" in str(change.error)
    assert (held, True, None) == (
        kept.keeper.current(trying=True),
        change.usable,
        kept.keeper.holding.trial,
    )


@pytest.mark.parametrize(("drop", "left"), [(True, None), (False, V1)])
def test_what_was_removed_is_dropped_where_that_is_wanted(
    proven: Kept, drop: bool, left: Secret | None
) -> None:
    """Else it is kept, and the failure is reported."""
    proven.keeper.obey(
        proven.keeper.policy.tightened(replace(proven.keeper.policy, drop_removed=drop))
    )
    proven.store.reply = SourceError("gone", failure=Failure.ABSENT)
    proven.keeper.refresh().wait(LIMIT)
    change = proven.landed()
    held = proven.keeper.held
    assert (left, not drop) == (None if held is None else read(held), change.usable)
    if drop:
        assert "gone" == str(proven.unavailable().cause)


# -- how often 401s may ask -----------------------------------------------------------------------


def test_401s_are_paced_tenant_by_tenant(proven: Kept) -> None:
    """One tenant's 401s do not use up what another tenant may force."""
    for tenant in ("acme", "acme", "globex", "globex", "acme"):
        assert None is replaced(proven, V1, tenant)
    assert [True, True] == proven.store.asked
    proven.clock.now += 5.0
    replaced(proven, V1, "acme")
    assert [True, True, True] == proven.store.asked


def test_a_first_acceptance_lifts_all_paces(kept: Kept) -> None:
    """The service came to terms with the value: whatever was refused before does not count."""
    kept.hold()
    replaced(kept, V1, "acme")
    replaced(kept, V1, "acme")
    assert [True] == kept.store.asked
    accept(kept)
    replaced(kept, V1, "acme")
    assert [True, True] == kept.store.asked


def test_a_later_acceptance_lifts_nothing(proven: Kept) -> None:
    """A service that accepts a value here may refuse it there: each 401 would ask again."""
    replaced(proven, V1)
    accept(proven)
    replaced(proven, V1)
    assert [True] == proven.store.asked


def test_a_source_that_always_says_something_else_is_asked_ever_more_rarely(kept: Kept) -> None:
    """New tokens that are refused one by one cost as few fetches as one that is."""
    kept.hold()
    for number in range(20):
        kept.store.reply = Document(f"token-{number}")
        used = serving(kept)
        assert used is not None
        replaced(kept, used)
    assert len(kept.store.asked) <= 2


# -- ahead of need --------------------------------------------------------------------------------


def test_what_nobody_read_is_not_refreshed_ahead(proven: Kept) -> None:
    """Whoever is asked after is refreshed, and an idle tenant costs nothing."""
    proven.clock.now += 100.0
    proven.keeper.due()
    assert [] == proven.store.asked
    proven.keeper.in_use = True
    proven.keeper.due()
    proven.landed()
    assert ([False], False) == (proven.store.asked, proven.keeper.in_use)


# -- beside other documents of its source ---------------------------------------------------------


def keepers(kept: Kept, refresher: Refresher, number: int) -> list[Keeper]:
    """Make keepers of documents of one source, which share its breaker."""
    breaker = Breaker()
    return [
        Keeper(
            kept.store,
            refresher,
            "store",
            kept.keeper.policy,
            clock=kept.clock,
            dice=lambda: 0.0,
            breaker=breaker,
        )
        for _ in range(number)
    ]


def reason(keeper: Keeper) -> str:
    with pytest.raises(Unavailable) as caught:
        keeper.current()
    return str(caught.value.cause)


def test_a_dead_source_is_asked_by_one_for_all(kept: Kept, refresher: Refresher) -> None:
    """Three failures tell that it is dead; then one probes it, and the others get its error."""
    *dead, last = keepers(kept, refresher, 10)
    for number, keeper in enumerate(dead[:OPENS_AFTER]):
        kept.store.reply = SourceError(f"refused {number}")
        assert f"refused {number}" == reason(keeper)
    assert {"refused 2"} == {reason(keeper) for keeper in dead[OPENS_AFTER:]}
    assert 3 == len(kept.store.asked)
    kept.clock.now += PROBE_EVERY
    kept.store.reply = SourceError("refused again")
    assert "refused again" == reason(last)
    assert {"refused again"} == {reason(keeper) for keeper in dead}
    assert 4 == len(kept.store.asked)


def test_who_wants_a_refresh_passes_the_breaker(kept: Kept, refresher: Refresher) -> None:
    """Somebody who says refresh() knows more, and their success is everybody's."""
    first, second, *dead = keepers(kept, refresher, 6)
    kept.store.reply = SourceError("refused")
    for keeper in dead:
        reason(keeper)
    kept.store.reply = Document("v1")
    assert "refused" == reason(first)
    second.refresh().wait(LIMIT)
    assert V1 == read(second.current())
    kept.clock.now += 2.0
    assert [V1] * 4 == [read(keeper.current()) for keeper in dead]
