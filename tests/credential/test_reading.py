"""A secret is read from the document that its credentials share, without waiting for others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.credential.conftest import Store

from tenantry.errors import SourceError
from tenantry.freshness import Freshness, RefreshPolicy
from tenantry.secret import Document, Secret

if TYPE_CHECKING:
    from tests.credential.conftest import Bench


async def test_get_and_aget_return_the_same_secret(bench: Bench) -> None:
    """Sync and async callers get one secret, which is read from its document once."""
    credential = bench.credential()
    found = await credential.aget()
    assert "v1" == found.reveal()
    assert found is credential.get()
    assert found is await credential.aget()
    assert [False] == bench.store.asked


def test_one_fetch_serves_two_fields_and_two_tenants(bench: Bench) -> None:
    """Credentials of one document share its fetch, whichever field or tenant they are for."""
    credentials = [
        bench.credential("acme"),
        bench.credential("globex"),
        bench.credential("acme", "webhook_secret", "other"),
    ]
    assert ["v1", "v1", "o1"] == [each.get().reveal() for each in credentials]
    assert [False] == bench.store.asked


def test_fields_of_a_document_rotate_together(bench: Bench) -> None:
    """A refresh of one credential is seen by all that share its document."""
    key, other = bench.credential(), bench.credential(field="other")
    key.get()
    bench.store.reply = Document({"api_key": "v2", "other": "o2"})
    other.refresh()
    assert ("v2", "o2") == (key.get().reveal(), other.get().reveal())


def test_what_is_held_can_be_peeked_at(bench: Bench) -> None:
    """Peeking asks nobody, and returns nothing where nothing can be read."""
    credential = bench.credential()
    assert credential.peek() is None
    credential.get()
    assert Secret("v1") == credential.peek()
    assert bench.credential(field="absent").peek() is None
    assert [False] == bench.store.asked


def test_prefetching_fetches_what_is_due(bench: Bench) -> None:
    """A prefetch starts a fetch where nothing fresh is held, and does nothing otherwise."""
    credential = bench.credential()
    credential.prefetch()
    credential.get()
    credential.prefetch()
    assert [False] == bench.store.asked


async def test_a_stale_secret_is_served_while_the_source_is_down(bench: Bench) -> None:
    """Behind its back the secret is fetched; in front of it nothing fails."""
    credential = bench.credential(policy=RefreshPolicy(every=0.0))
    credential.get()
    bench.store.reply = SourceError("sealed")
    for _ in range(10):
        assert "v1" == credential.get().reveal()
        assert "v1" == (await credential.aget()).reveal()
    assert Freshness.STALE is credential.status().freshness


def test_sources_do_not_wait_for_each_other(bench: Bench) -> None:
    """With one source hanging on all its threads, another delivers."""
    stuck = Store()
    stuck.go_on.clear()
    for number in range(20):
        keeper = bench.keyring.keeper("stuck", (number,), RefreshPolicy(), stuck, tenant="acme")
        keeper.prefetch()
    assert "v1" == bench.credential().get().reveal()
    stuck.go_on.set()
