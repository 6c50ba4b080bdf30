"""Who uses a pool keeps it open, and the last who leaves a retired one closes it."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from tests.clients.pools.conftest import LIMIT, LIMITS, Transport

from tenantry.clients import pools
from tenantry.clients.http import httpx
from tenantry.clients.pools import OpenPool, ThreadPool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenantry.clients.sockets import Sockets


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_idle_pool_is_closed_when_it_is_retired(
    pool: ThreadPool, transport: Transport, found: set[OpenPool], sockets: Sockets
) -> None:
    """Nobody finds it any more, and its sockets do not count."""
    pool.enter("user")
    pool.leave("user")
    pool.retire()
    assert (1, set(), 0) == (transport.closed, found, len(sockets))


def test_a_retired_pool_is_closed_by_its_last_user(pool: ThreadPool, transport: Transport) -> None:
    """It stays open under those who use it, and leaving twice counts once."""
    pool.enter("first")
    pool.enter("second")
    pool.retire()
    pool.leave("first")
    pool.leave("first")
    assert 0 == transport.closed
    pool.leave("second")
    assert 1 == transport.closed


def test_a_pool_in_use_again_is_not_closed(pool: ThreadPool, transport: Transport) -> None:
    """Leaving closes nothing of a pool that can still be found."""
    for _ in range(3):
        pool.enter("user")
        pool.leave("user")
    assert 0 == transport.closed


def test_who_slips_in_while_a_pool_retires_does_not_count(
    pool: ThreadPool, sockets: Sockets
) -> None:
    """Who had found it before, and enters after it was let go of, leaves no trace behind."""
    pool.enter("first")
    pool.retire()
    pool.enter("late")
    assert 2 == len(sockets)
    pool.leave("late")
    pool.leave("first")
    assert 0 == len(sockets)


def test_how_many_sockets_are_open_is_known_from_above(pool: ThreadPool, sockets: Sockets) -> None:
    """As many as were in use at once, and of idle ones as many as are kept."""
    for user in range(8):
        pool.enter(user)
    for user in range(7):
        pool.leave(user)
    assert 8 == len(sockets)
    assert 4 == pool.settle()
    pool.enter("next")
    assert 8 == len(sockets)  # what was settled is counted with the next that is opened


def test_idle_sockets_expire_from_the_last_leave(
    pool: ThreadPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`keepalive_expiry` counts from when somebody last left."""
    clock = Clock()
    monkeypatch.setattr(pools, "clock", clock)
    pool.enter("user")
    clock.now += 60
    pool.leave("user")
    assert clock.now + 5 == pool.expires


def test_without_an_expiry_nothing_expires(sockets: Sockets, transport: Transport) -> None:
    """`keepalive_expiry: null` keeps idle sockets."""
    limits = httpx.Limits(keepalive_expiry=None)
    assert float("inf") == ThreadPool(transport, (), limits, sockets, lambda _: None).expires


def test_the_base_closes_nothing_by_itself(sockets: Sockets) -> None:
    """How a pool is closed is for its kind to say."""
    with pytest.raises(NotImplementedError):
        OpenPool((), LIMITS, sockets, lambda _: None).close()


class Found:
    """Does with pools what a transport does: makes one where none can be found."""

    def __init__(self, sockets: Sockets) -> None:
        self.made: list[ThreadPool] = []
        self._sockets = sockets
        self._current: ThreadPool | None = None
        self._lock = threading.Lock()

    def entered(self, user: object) -> ThreadPool:
        while True:
            pool = self._found()
            pool.enter(user)
            if pool is self._current:
                return pool
            pool.leave(user)

    def _found(self) -> ThreadPool:
        with self._lock:
            if self._current is None:
                self._current = ThreadPool(Transport(), (), LIMITS, self._sockets, self._forget)
                self.made.append(self._current)
            return self._current

    def _forget(self, pool: OpenPool) -> None:
        with self._lock:
            if self._current is pool:
                self._current = None


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads that take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("turns", [1_000, pytest.param(20_000, marks=pytest.mark.stress)])
def test_no_pool_is_closed_under_a_user(sockets: Sockets, turns: int) -> None:
    """Six threads enter and leave while a seventh retires: all pools are closed, none in use."""
    found = Found(sockets)
    together, using = threading.Barrier(7), threading.Event()
    using.set()

    def use() -> int:
        together.wait(LIMIT)
        closed_under_us = 0
        for _ in range(turns):
            user = object()
            pool: Any = found.entered(user)
            closed_under_us += pool.transport.closed
            pool.leave(user)
        return closed_under_us

    def retire() -> None:
        together.wait(LIMIT)
        while using.is_set():
            for pool in found.made[-1:]:
                pool.retire()

    with ThreadPoolExecutor(7) as threads:
        retiring = threads.submit(retire)
        users = [threads.submit(use) for _ in range(6)]
        assert [0] * 6 == [each.result(60) for each in users]
        using.clear()
        retiring.result(LIMIT)
    found.made[-1].retire()
    transports: list[Any] = [pool.transport for pool in found.made]
    assert [] == [each for each in transports if not each.closed]
    assert (0, {}) == (len(sockets), sockets._open)
