"""A secret is fetched anew when somebody asks for it, or a service rejects it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.credential.conftest import unavailable

from tenantry.errors import CredentialUnavailableError, Failure, SourceError
from tenantry.freshness import RefreshPolicy
from tenantry.secret import Document, Secret

if TYPE_CHECKING:
    from tests.credential.conftest import Bench

    from tenantry.credential import Credential


# -- rejected -------------------------------------------------------------------------------------


def better(credential: Credential, used: Secret) -> Secret | None:
    found = credential.replacement(used, credential.readable)
    return None if found is None else credential.read(found)


async def test_a_rejected_secret_is_replaced(bench: Bench) -> None:
    """A rotated value is found for sync and async callers, and no value where nothing changed."""
    credential = bench.credential()
    first = credential.get()
    bench.store.reply = Document({"api_key": "v2"}, version="2")
    assert Secret("v2") == better(credential, first)
    found = await credential.areplacement(first, credential.readable)
    assert found is not None
    assert Secret("v2") == credential.read(found)
    assert None is better(bench.credential("globex", field="absent"), first)
    assert [False, True, True] == bench.store.asked


def test_the_previous_value_serves_where_the_new_one_is_rejected(bench: Bench) -> None:
    """Within `overlap` a value that rotated too early is answered with its predecessor."""
    credential = bench.credential()
    first = credential.get()
    bench.store.reply = Document({"api_key": "v2"})
    credential.refresh()
    assert first == better(credential, credential.get())


def test_a_rotation_that_loses_the_field_is_refused(bench: Bench) -> None:
    """A new document without the secret is a failed refresh: the old one serves on."""
    credential = bench.credential(field="api_key")
    first = credential.get()
    bench.store.reply = Document({"typo": "v2"})
    with pytest.raises(CredentialUnavailableError, match="no field 'api_key'"):
        credential.refresh()
    assert first == credential.get()


# -- refreshing -----------------------------------------------------------------------------------


def impatient() -> RefreshPolicy:
    return RefreshPolicy(wait=0.01)


async def test_a_refresh_fetches_now(bench: Bench) -> None:
    """Both kinds of refresh fetch although what is held is fresh, and past a back-off."""
    credential = bench.credential()
    bench.store.reply = SourceError("denied", failure=Failure.DENIED)
    unavailable(credential)
    bench.store.reply = Document("v2")
    await credential.arefresh()
    assert "v2" == credential.get().reveal()
    bench.store.reply = Document("v3")
    credential.refresh()
    assert "v3" == credential.get().reveal()


async def test_a_refresh_that_fails_says_so(bench: Bench) -> None:
    """Who asked for a refresh learns of its failure; what is held still serves."""
    credential = bench.credential()
    credential.get()
    bench.store.reply = SourceError("sealed")
    with pytest.raises(CredentialUnavailableError, match="sealed"):
        credential.refresh()
    with pytest.raises(CredentialUnavailableError, match="sealed"):
        await credential.arefresh()
    assert "v1" == credential.get().reveal()
    assert "sealed" == credential.status().last_error


async def test_a_refresh_that_is_late_says_so(bench: Bench) -> None:
    """A refresh that is not back within `wait` has not succeeded."""
    credential = bench.credential(policy=impatient())
    bench.store.go_on.clear()
    with pytest.raises(CredentialUnavailableError, match=r"no answer within 0\.01 s"):
        credential.refresh()
    with pytest.raises(CredentialUnavailableError, match=r"no answer within 0\.01 s"):
        await credential.arefresh()


async def test_threads_and_tasks_share_a_refresh(bench: Bench) -> None:
    """Whoever wants a refresh while one is on its way joins it."""
    credential = bench.credential()
    await credential.aget()
    bench.store.go_on.clear()
    waiting = [asyncio.create_task(credential.arefresh()) for _ in range(5)]
    await asyncio.sleep(0)
    bench.store.go_on.set()
    await asyncio.gather(*waiting)
    assert [False, True] == bench.store.asked
