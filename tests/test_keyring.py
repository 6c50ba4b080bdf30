"""Every document is kept once, for all who need it, as often as the neediest wants it."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tenantry.events import EventStream
from tenantry.freshness import RefreshPolicy
from tenantry.keyring import Keyring
from tenantry.secret import Document
from tenantry.testing.fake.clock import FrozenClock, FrozenSchedule, SettlingRefresher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenantry.keeper import Keeper


def fetch(*, forced: bool) -> Document:
    del forced
    return Document("value", version="1")


@pytest.fixture
def keyring() -> Iterator[Keyring]:
    made = Keyring(EventStream())
    yield made
    made.close()


def keeper(
    keyring: Keyring,
    locator: str = "a",
    *,
    source: str = "vault",
    tenant: str = "acme",
    every: float = 100.0,
) -> Keeper:
    return keyring.keeper(source, locator, RefreshPolicy(every=every), fetch, tenant=tenant)


def test_a_document_has_one_keeper(keyring: Keyring) -> None:
    """Same source and locator are one document."""
    first = keeper(keyring)
    assert first is keeper(keyring, tenant="globex")
    assert first is not keeper(keyring, "b")
    assert first is not keeper(keyring, source="vault-us")


def test_the_smallest_limits_are_in_force(keyring: Keyring) -> None:
    """Those who share a document share the smallest of each limit, as long as they need it."""
    shared = keeper(keyring, every=100.0)
    keeper(keyring, tenant="globex", every=10.0)
    assert 10.0 == shared.policy.every
    keyring.release("globex", [("vault", "a")])
    assert 100.0 == shared.policy.every


def test_a_tenant_that_needs_a_document_twice_has_one_say(keyring: Keyring) -> None:
    """Two settings of one tenant that name one document: the smaller limits of the two."""
    shared = keeper(keyring, every=100.0)
    keeper(keyring, every=10.0)
    keeper(keyring, every=50.0)
    assert 10.0 == shared.policy.every


def test_however_tenants_come_the_smallest_limits_are_in_force(keyring: Keyring) -> None:
    """No limit is lost between threads."""
    shared = keeper(keyring, every=2000.0)
    with ThreadPoolExecutor(16) as threads:
        wishes = range(990)
        list(threads.map(lambda n: keeper(keyring, tenant=str(n), every=1000.0 - n), wishes))
    assert 11.0 == shared.policy.every


def test_what_nobody_needs_is_let_go(keyring: Keyring) -> None:
    """A document is dropped when the last who needed it is gone, and not before."""
    shared, place = keeper(keyring), ("vault", "a")
    keeper(keyring, tenant="globex")
    keyring.release("acme", [place])
    assert [] == keyring.drop_unneeded([place])
    keyring.release("globex", [place, ("vault", "never asked for")])
    assert [shared] == keyring.drop_unneeded([place, place, ("vault", "never asked for")])
    assert not keyring.has(place)
    assert shared is not keeper(keyring)


def test_documents_go_with_their_source(keyring: Keyring) -> None:
    """A source that is gone takes its documents along, whoever needs them."""
    keeper(keyring)
    keeper(keyring, source="vault-us")
    keyring.drop_sources({"vault"})
    assert (False, True) == (keyring.has(("vault", "a")), keyring.has(("vault-us", "a")))


def test_who_holds_what_was_let_go_can_use_it(keyring: Keyring) -> None:
    """Letting go is not breaking: the keeper fetches on."""
    kept, place = keeper(keyring), ("vault", "a")
    keyring.release("acme", [place])
    keyring.drop_unneeded([place])
    assert "1" == kept.current().document.version


def test_a_keyring_that_is_collected_leaves_no_thread() -> None:
    """Without `close`, the schedule's thread ends with the last keeper."""
    before = set(threading.enumerate())
    made = Keyring(EventStream())
    kept = keeper(made)
    kept.current()
    started = [
        each for each in threading.enumerate() if each not in before and "schedule" in each.name
    ]
    assert 1 == len(started)
    del made, kept
    gc.collect()
    started[0].join(10)
    assert not started[0].is_alive()


def test_what_was_never_fetched_goes_with_its_clients(keyring: Keyring) -> None:
    """An empty document is dropped; one that holds a value stays, for when its source is away."""
    held, place = keeper(keyring), ("vault", "a")
    held.current()
    keeper(keyring, "b")
    keyring.drop_empty([place, ("vault", "b"), ("vault", "never asked for")])
    assert (True, False) == (keyring.has(place), keyring.has(("vault", "b")))


def test_thousands_may_share_a_document(keyring: Keyring) -> None:
    """What one more of them takes does not grow with their number."""
    shared = keeper(keyring, every=10.0)
    for number in range(3000):
        keeper(keyring, tenant=f"tenant-{number}", every=10.0)
    for number in range(3000):
        keyring.release(f"tenant-{number}", [("vault", "a")])
    assert 10.0 == shared.policy.every


def test_who_wanted_a_document_is_known(keyring: Keyring) -> None:
    """To look makes no keeper; whoever needs one that was never asked for is not named."""
    assert keyring.kept(("vault", "a")) is None
    made = keeper(keyring)
    assert made is keyring.kept(("vault", "a"))
    assert set() == keyring.users()
    made.refresh().wait(10.0)
    keeper(keyring, "b", tenant="wonka")
    keeper(keyring, tenant="globex")
    assert {"acme", "globex"} == keyring.users()


def test_what_expired_unread_is_no_alarm() -> None:
    """Who reads it next has it fetched; one that somebody reads and that does not come is."""
    clock = FrozenClock()
    keyring = Keyring(EventStream(), SettlingRefresher(FrozenSchedule(clock)))
    read, unread = keeper(keyring), keeper(keyring, "b", tenant="globex")
    for each in (read, unread):
        each.refresh().wait(10.0)
    keeper(keyring, "c")
    assert ["acme", "globex"] == [tenant for tenant, _, _ in keyring.expiries()]
    clock.now += 1_000_000
    read.in_use = True
    ((tenant, source, left),) = keyring.expiries()
    assert ("acme", "vault", True) == (tenant, source, left < 0)
    keyring.close()
