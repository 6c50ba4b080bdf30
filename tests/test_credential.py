from __future__ import annotations

import asyncio
import base64
import logging
import threading
import traceback
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tenantry.credential import Credential
from tenantry.errors import CredentialUnavailableError, Failure, SourceError
from tenantry.events import Event, EventStream, RefreshFailed, SecretRefreshed, SecretRotated
from tenantry.freshness import Freshness, RefreshPolicy
from tenantry.keyring import Keyring
from tenantry.secret import Document, Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 10.0  # seconds after which a test that hangs fails
PLANTED = "sk-planted/+0123456789=="
FORMS = (PLANTED, base64.b64encode(PLANTED.encode()).decode(), quote(PLANTED, safe=""))


class Store:
    """A source whose answers belong to the test."""

    def __init__(self) -> None:
        self.reply: Document | BaseException = Document({"api_key": "v1", "other": "o1"})
        self.asked: list[bool] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, *, forced: bool) -> Document:
        self.asked.append(forced)
        assert self.go_on.wait(LIMIT)
        if isinstance(self.reply, BaseException):
            raise self.reply
        return self.reply


class Bench:
    """A keyring, its events, and credentials of one store."""

    def __init__(self) -> None:
        self.store = Store()
        self.events = EventStream()
        self.seen: list[Event] = []
        self._arrived = threading.Semaphore(0)
        self.events.subscribe(self._note)
        self.keyring = Keyring(self.events)

    def credential(
        self,
        tenant: str = "acme",
        setting: str = "api_key",
        field: str | None = None,
        policy: RefreshPolicy | None = None,
    ) -> Credential:
        keeper = self.keyring.keeper(
            "vault", ("path",), policy or RefreshPolicy(), self.store, tenant=tenant
        )
        return Credential(
            keeper,
            tenant=tenant,
            setting=setting,
            field=field,
            source="vault",
            reference="vault path",
        )

    def event(self) -> Event:
        """Wait for the next event, and return it."""
        assert self._arrived.acquire(timeout=LIMIT)
        return self.seen.pop(0)

    def _note(self, event: Event) -> None:
        self.seen.append(event)
        self._arrived.release()


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.store.go_on.set()
    made.keyring.close()
    made.events.close()


def impatient() -> RefreshPolicy:
    return RefreshPolicy(wait=0.01)


def unavailable(credential: Credential) -> CredentialUnavailableError:
    with pytest.raises(CredentialUnavailableError) as caught:
        credential.get()
    return caught.value


# -- reading --------------------------------------------------------------------------------------


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


# -- refusals -------------------------------------------------------------------------------------


async def test_an_error_names_tenant_setting_and_reference(bench: Bench) -> None:
    """Whoever reads the error knows whose secret it is, where it comes from, and when to retry."""
    bench.store.reply = SourceError("Vault is sealed", hint="unseal it")
    credential = bench.credential("acme", "api_key")
    with pytest.raises(CredentialUnavailableError) as caught:
        await credential.aget()
    for error in (unavailable(credential), caught.value):
        assert ("acme", "api_key from vault path") == (error.tenant, error.reference)
        assert "no credential for tenant 'acme': api_key from vault path: Vault is sealed" in str(
            error
        )
        assert 0.0 < error.retry_after <= 1.5
        assert isinstance(error.__cause__, SourceError)


def test_a_missing_field_is_an_error_of_its_credential_only(bench: Bench) -> None:
    """A document that lacks one tenant's field serves the others."""
    error = unavailable(bench.credential(field="absent"))
    assert "no field 'absent'; it has: api_key, other" in str(error)
    assert isinstance(error.__cause__, SourceError)
    assert Failure.ABSENT is error.__cause__.failure
    assert "v1" == bench.credential().get().reveal()


@pytest.mark.parametrize(
    "reply",
    [
        Document(f"{PLANTED}\n\n"),
        Document({"api_key": [PLANTED]}),
        Document({"a": PLANTED, "b": PLANTED}),
        ValueError(PLANTED),
        KeyError(PLANTED),
        SystemExit(PLANTED),
    ],
)
def test_no_error_log_or_event_shows_a_secret(
    bench: Bench, reply: Document | BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """However a secret is unusable, neither text nor traceback, log or event carries it."""
    bench.store.reply = reply
    with caplog.at_level(logging.DEBUG):
        error = unavailable(bench.credential())
        logging.getLogger("application").error("failed", exc_info=error)
    bench.events.close()
    texts = [
        "".join(traceback.format_exception(error)),
        repr(error),
        repr(bench.credential().status()),
        repr(bench.seen),
        caplog.text,
    ]
    assert [] == [form for form in FORMS for text in texts if form in text]


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


# -- knowing --------------------------------------------------------------------------------------


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


def test_sources_do_not_wait_for_each_other(bench: Bench) -> None:
    """With one source hanging on all its threads, another delivers."""
    stuck = Store()
    stuck.go_on.clear()
    for number in range(20):
        keeper = bench.keyring.keeper("stuck", (number,), RefreshPolicy(), stuck, tenant="acme")
        keeper.prefetch()
    assert "v1" == bench.credential().get().reveal()
    stuck.go_on.set()
