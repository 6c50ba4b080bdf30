from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING

import pytest
from tests.forking import in_child

from tenantry import forks
from tenantry.credential import Credential
from tenantry.events import Event, EventStream
from tenantry.forks import once_all_began_anew, survives_fork
from tenantry.freshness import RefreshPolicy
from tenantry.keyring import Keyring
from tenantry.pool import Pool
from tenantry.secret import Document

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 20.0  # seconds after which a child that hangs fails its test


class Counter:
    """Counts in how many forks it was told to begin anew."""

    def __init__(self) -> None:
        self.forks = 0

    def after_fork(self) -> None:
        self.forks += 1


class Source:
    """A fetch that a test holds, and lets go."""

    def __init__(self) -> None:
        self.value = "first"
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, *, forced: bool) -> Document:
        del forced
        self.begun.set()
        assert self.go_on.wait(LIMIT)
        return Document(self.value)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def credential(source: Source) -> Iterator[Credential]:
    keyring = Keyring(EventStream())
    keeper = keyring.keeper("vault", ("path",), RefreshPolicy(), source, tenant="acme")
    yield Credential(
        keeper, tenant="acme", setting="api_key", field=None, source="vault", reference="vault path"
    )
    source.go_on.set()
    keyring.close()


def test_what_survives_is_told_in_the_child_only() -> None:
    """Each fork begins anew in the child, and nothing happens in the parent."""
    counter = Counter()
    survives_fork(counter)
    assert 1 == in_child(lambda: counter.forks)
    assert 0 == counter.forks


def known(*things: Counter) -> forks._Known:
    """Return what knows these things only."""
    made = forks._Known()
    for thing in things:
        made.add(thing)
    return made


def test_everything_known_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs in a child tells all that registered."""
    counters = [Counter(), Counter()]
    monkeypatch.setattr(forks, "_known", known(*counters))
    forks._in_child()
    assert [1, 1] == [counter.forks for counter in counters]


def test_what_starts_threads_waits_for_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each step runs once, when everything has begun anew."""
    told: list[str] = []

    class Teller(Counter):
        def after_fork(self) -> None:
            once_all_began_anew(lambda: told.append("step"))
            told.append("began anew")

    tellers = [Teller(), Teller()]
    monkeypatch.setattr(forks, "_known", known(*tellers))
    for _ in range(2):
        forks._in_child()
    assert [*["began anew"] * 2, *["step"] * 2] * 2 == told


def test_one_that_fails_does_not_keep_others_from_beginning_anew(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A lock that stayed the parent's would hang the child; the failure is logged."""

    class Broken(Counter):
        def after_fork(self) -> None:
            raise ValueError("broken")

    def fail() -> None:
        raise ValueError("broken too")

    broken, counter, steps = Broken(), Counter(), list[str]()
    monkeypatch.setattr(forks, "_known", known(broken, counter))
    once_all_began_anew(lambda: steps.append("ran"))
    once_all_began_anew(fail)
    forks._in_child()
    assert (1, ["ran"], []) == (counter.forks, steps, forks._next)
    assert 2 == len(caplog.messages)


def test_what_is_gone_is_forgotten_in_time() -> None:
    """However many come and go, what is remembered of them is bounded; or none, if asked."""
    things = known()
    for _ in range(10 * forks.FEW):
        things.add(Counter())
    assert len(things._things) < forks.FEW
    kept = Counter()
    things.add(kept)
    things.forget_gone()
    assert [kept] == [thing() for thing in things._things] == things.all()


def test_what_is_gone_is_not_told() -> None:
    """Registering for forks keeps nothing alive."""
    counter = Counter()
    survives_fork(counter)
    gone = weakref.ref(counter)
    del counter
    gc.collect()
    assert gone() is None
    assert not any(isinstance(each, Counter) for each in forks._known.all())


def test_a_grandchild_begins_anew_too() -> None:
    """A child that forks again tells what it inherited once more."""
    counter = Counter()
    survives_fork(counter)

    assert 2 == in_child(lambda: in_child(lambda: counter.forks))


def test_a_child_keeps_the_values_it_was_born_with(credential: Credential, source: Source) -> None:
    """A secret that is held is served in the child, without a fetch."""
    held = credential.get().reveal()
    source.value = "second"
    source.begun.clear()

    def serve() -> tuple[str, bool]:
        return credential.get().reveal(), source.begun.is_set()

    assert (held, False) == in_child(serve)


def test_a_child_forked_in_mid_flight_fetches_for_itself(
    credential: Credential, source: Source
) -> None:
    """A flight of the parent never lands in the child, which starts its own."""
    source.go_on.clear()
    credential.prefetch()
    assert source.begun.wait(LIMIT)

    def fetch() -> str:
        source.go_on.set()
        return credential.get().reveal()

    assert "first" == in_child(fetch)
    source.go_on.set()
    assert "first" == credential.get().reveal()


def test_a_child_forked_in_mid_refresh_refreshes_for_itself(
    credential: Credential, source: Source
) -> None:
    """The parent's forced fetch does not keep the child from one of its own."""
    used = credential.get()
    source.go_on.clear()
    source.begun.clear()
    asking = threading.Thread(
        target=credential.keeper.replacement, args=(used, credential.readable)
    )
    asking.start()
    assert source.begun.wait(LIMIT)

    def better() -> str | None:
        source.value = "second"
        source.go_on.set()
        found = credential.keeper.replacement(used, credential.readable)
        secret = None if found is None else credential.readable(found)
        return None if secret is None else secret.reveal()

    assert "second" == in_child(better)
    source.go_on.set()
    asking.join(LIMIT)


def test_locks_held_at_the_fork_are_new_in_the_child(credential: Credential) -> None:
    """Whatever lock another thread held when the process forked, the child does not wait for it."""
    credential.get()
    keeper = credential._keeper
    pool, stream = Pool[str, str](), EventStream()
    seen: list[str] = []
    stream.subscribe(lambda event: seen.append(event.tenant))
    keyring = Keyring(stream)
    locks = (
        keeper._lock,
        keeper._refresher._lock,
        pool._lock,
        stream._condition,
        keyring._lock,
        keyring._refresher._lock,
    )

    def work() -> tuple[str, str, list[str]]:
        credential.refresh()
        fresh = keyring.keeper("env", ("X",), RefreshPolicy(), Source(), tenant="globex")
        fresh.current()  # which is an event, too
        stream.publish(Event("acme"))
        stream.close(LIMIT)
        return credential.get().reveal(), pool.get("acme", lambda: "built"), seen

    for lock in locks:
        lock.acquire()
    try:
        assert ("first", "built", ["globex", "acme"]) == in_child(work)
    finally:
        for lock in locks:
            lock.release()


def test_a_build_of_the_parent_does_not_hold_up_the_child() -> None:
    """A key that another thread was building when the process forked is built by the child."""
    pool, begun, go_on = Pool[str, str](), threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        assert go_on.wait(LIMIT)
        return "parent"

    building = threading.Thread(target=pool.get, args=("acme", slow))
    building.start()
    assert begun.wait(LIMIT)
    assert "child" == in_child(lambda: pool.get("acme", lambda: "child"))
    go_on.set()
    building.join(LIMIT)
    assert "parent" == pool.get("acme", lambda: "too late")


def test_events_of_the_parent_are_not_delivered_in_the_child() -> None:
    """A child starts with an empty queue, a thread of its own, and the same hooks."""
    stream, begun, go_on = EventStream(), threading.Event(), threading.Event()
    seen: list[str] = []

    def hook(event: Event) -> None:
        begun.set()
        assert go_on.wait(LIMIT)
        seen.append(event.tenant)

    stream.subscribe(hook)
    stream.publish(Event("parent"))
    stream.publish(Event("parent, queued"))
    assert begun.wait(LIMIT)

    def publish() -> list[str]:
        go_on.set()
        stream.publish(Event("child"))
        stream.close(LIMIT)
        return seen

    assert ["child"] == in_child(publish)
    go_on.set()
    stream.close(LIMIT)
    assert ["parent", "parent, queued"] == seen


@pytest.mark.parametrize("children", [8])
def test_children_of_one_parent_do_not_share_their_refreshes(
    credential: Credential, source: Source, children: int
) -> None:
    """Each of several children refreshes on threads of its own."""
    credential.get()

    def refresh() -> str:
        source.value = "new"
        credential.refresh()
        return credential.get().reveal()

    assert ["new"] * children == [in_child(refresh) for _ in range(children)]
    assert "first" == credential.get().reveal()
