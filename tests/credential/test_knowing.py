"""Status and events tell what a credential holds, and how its last fetch ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.credential.conftest import LIMIT, PLANTED, Store

from tenantry.errors import CredentialUnavailableError, Failure, SourceError
from tenantry.events import EventStream, RefreshFailed, SecretRefreshed, SecretRotated
from tenantry.freshness import Freshness, RefreshPolicy
from tenantry.keyring import Keyring
from tenantry.secret import Document

if TYPE_CHECKING:
    from tests.credential.conftest import Bench


def test_the_status_of_what_is_not_held(bench: Bench) -> None:
    """Before the first fetch nothing is known but what was asked for."""
    status = bench.credential().status()
    assert ("api_key", "vault path", "", "") == (
        status.setting,
        status.reference,
        status.version,
        status.last_error,
    )
    assert (Freshness.EXPIRED, None, None) == (status.freshness, status.age, status.next_refresh)


def test_the_status_of_what_is_held(bench: Bench) -> None:
    """A held secret tells its version, its age and the time to its refresh."""
    bench.store.reply = Document(PLANTED, version="7")
    credential = bench.credential()
    credential.get()
    status = credential.status()
    assert ("7", Freshness.FRESH) == (status.version, status.freshness)
    assert status.age is not None
    assert status.next_refresh is not None
    assert 0.0 <= status.age < LIMIT
    assert 260.0 < status.next_refresh <= 330.0


def test_a_rotation_is_an_event(bench: Bench) -> None:
    """A changed value is told with both versions; a first or an unchanged one is not."""
    credential = bench.credential()
    bench.store.reply = Document("v1", version="1")
    credential.get()
    bench.store.reply = Document("v1", version="2")
    credential.refresh()
    bench.store.reply = Document("v2", version="3")
    credential.refresh()
    expected = SecretRotated("acme", source="vault", version="3", previous_version="2")
    told = [bench.event() for _ in range(4)]
    assert [("1", False), ("2", False), ("3", True)] == [
        (event.version, event.changed) for event in told if isinstance(event, SecretRefreshed)
    ]
    assert expected == told[3]
    assert [] == bench.seen


@pytest.mark.parametrize("held", [False, True])
def test_a_failure_is_an_event(bench: Bench, held: bool) -> None:
    """A failed fetch is told with its class, the next attempt, and whether requests go on."""
    credential = bench.credential()
    if held:
        credential.get()
        assert isinstance(bench.event(), SecretRefreshed)
    bench.store.reply = SourceError("forbidden", failure=Failure.DENIED)
    with pytest.raises(CredentialUnavailableError):
        credential.refresh()
    event = bench.event()
    assert isinstance(event, RefreshFailed)
    assert ("acme", "vault", "forbidden", "denied", held) == (
        event.tenant,
        event.source,
        event.reason,
        event.failure,
        event.usable,
    )
    assert pytest.approx(30.0, abs=0.01) == event.retry_in


def test_without_listeners_nothing_is_told() -> None:
    """A keyring whose events nobody wants works the same."""
    keyring, store = Keyring(EventStream()), Store()
    keeper = keyring.keeper("vault", ("path",), RefreshPolicy(), store, tenant="acme")
    keeper.current()
    store.reply = Document("v2")
    keeper.refresh().wait(LIMIT)
    assert [False, True] == store.asked
    keyring.close()
