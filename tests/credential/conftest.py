"""A keyring, its events, and credentials of a store whose answers belong to the test."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from tenantry.credential import Credential
from tenantry.errors import CredentialUnavailableError
from tenantry.events import EventStream
from tenantry.freshness import RefreshPolicy
from tenantry.keyring import Keyring
from tenantry.secret import Document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenantry.events import Event

LIMIT = 10.0  # seconds after which a test that hangs fails
PLANTED = "sk-planted/+0123456789=="


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


def unavailable(credential: Credential) -> CredentialUnavailableError:
    with pytest.raises(CredentialUnavailableError) as caught:
        credential.get()
    return caught.value
