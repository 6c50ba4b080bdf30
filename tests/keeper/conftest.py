from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

import pytest

from tenantry.flight import Unavailable
from tenantry.freshness import RefreshPolicy
from tenantry.keeper import Keeper
from tenantry.refresher import Refresher
from tenantry.secret import Document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenantry.flight import Change
    from tenantry.holding import Held

LIMIT = 10.0  # seconds after which a test that hangs fails


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Store:
    """A source: what it answers, how often it was asked, and whether it answers at all."""

    def __init__(self) -> None:
        self.reply: Document | BaseException = Document("v1", version="1")
        self.asked: list[bool] = []
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self, *, forced: bool) -> Document:
        self.asked.append(forced)
        reply, go_on = self.reply, self.go_on
        self.begun.release()
        assert go_on.wait(LIMIT)
        if isinstance(reply, BaseException):
            raise reply
        return reply

    def hang(self) -> threading.Event:
        """Let the fetches to come hang, until what is returned is set."""
        self.go_on = threading.Event()
        return self.go_on

    def wait_until_asked(self) -> None:
        assert self.begun.acquire(timeout=LIMIT)


class Kept:
    """A keeper whose clock, dice and source belong to the test."""

    def __init__(self, refresher: Refresher) -> None:
        self.clock, self.store = Clock(), Store()
        self.changes: queue.Queue[Change] = queue.Queue()
        self.keeper = Keeper(
            self.store,
            refresher,
            "store",
            RefreshPolicy(every=100.0, max_stale=1000.0, overlap=50.0, wait=LIMIT),
            clock=self.clock,
            dice=lambda: 0.5,
            on_change=self.changes.put,
        )

    def landed(self) -> Change:
        """Wait for the flight on its way, and return what it brought."""
        return self.changes.get(timeout=LIMIT)

    def hold(self) -> Held:
        """Make the keeper hold the store's document, fresh."""
        held = self.keeper.current()
        self.landed()
        self.store.wait_until_asked()
        self.store.asked.clear()
        return held

    def unavailable(self) -> Unavailable:
        """Ask for the document, which cannot be had."""
        with pytest.raises(Unavailable) as caught:
            self.keeper.current()
        return caught.value

    def impatient(self) -> None:
        """Wait for flights no longer than it takes to say so."""
        self.keeper.obey(
            self.keeper.policy.tightened(
                RefreshPolicy(every=1e9, max_stale=1e9, overlap=1e9, wait=0.01)
            )
        )


@pytest.fixture
def refresher() -> Iterator[Refresher]:
    made = Refresher()
    yield made
    made.close()


@pytest.fixture
def kept(refresher: Refresher) -> Iterator[Kept]:
    made = Kept(refresher)
    yield made
    made.store.go_on.set()
