"""However many want a secret at once, its source is asked once."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tenantry import ClientRegistry
from tenantry.flight import Flight
from tenantry.secret import Document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tenantry.testing import OpenAIServer

LIMIT = 60.0  # seconds after which what does not happen fails its test
LOOPS = 3
SIZES = [
    pytest.param(100, 16, id="100"),
    pytest.param(1000, 64, id="1000", marks=pytest.mark.stress),
]


class Store:
    """A source that counts how often it is asked, and answers when it may."""

    def __init__(self) -> None:
        self.asked = 0
        self.document = Document("sk-1")
        self.go_on = threading.Event()
        self.go_on.set()
        self.begun = threading.Semaphore(0)

    def __call__(self) -> Document:
        self.asked += 1
        self.begun.release()
        assert self.go_on.wait(LIMIT)
        return self.document

    def hang(self) -> None:
        self.asked = 0
        self.begun = threading.Semaphore(0)
        self.go_on.clear()


class Herd:
    """Requests of one tenant, all sent at once from threads and event loops."""

    def __init__(self, registry: ClientRegistry, size: int, threads: int) -> None:
        self._registry = registry
        self._threads = threads
        self._tasks = (size - threads) // LOOPS
        self.size = threads + LOOPS * self._tasks
        self._together = threading.Barrier(threads + LOOPS)

    def run(self, meanwhile: Callable[[], None]) -> int:
        """Send all, let something happen while they wait; return how many were answered."""
        with ThreadPoolExecutor(self._threads + LOOPS) as pool:
            sent = [pool.submit(self._send) for _ in range(self._threads)]
            sent += [pool.submit(asyncio.run, self._send_all()) for _ in range(LOOPS)]
            meanwhile()
            return sum(each.result(LIMIT) for each in sent)

    def _send(self) -> int:
        client: Any = self._registry.client("acme")
        self._together.wait(LIMIT)
        return int(bool(client.models.list().data))

    async def _send_all(self) -> int:
        client: Any = self._registry.async_client("acme")
        self._together.wait(LIMIT)  # nothing else runs on this loop yet
        pages = await asyncio.gather(*(client.models.list() for _ in range(self._tasks)))
        await client.close()
        return sum(bool(page.data) for page in pages)


class Waiting:
    """Counts who waits for a flight."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self._lock = threading.Lock()
        wait, await_ = Flight.wait, Flight.await_

        def counted(flight: Flight, limit: float) -> None:
            self._note()
            wait(flight, limit)

        async def acounted(flight: Flight, limit: float) -> None:
            self._note()
            await await_(flight, limit)

        monkeypatch.setattr(Flight, "wait", counted)
        monkeypatch.setattr(Flight, "await_", acounted)

    def _note(self) -> None:
        with self._lock:
            self.count += 1

    def until(self, number: int) -> None:
        end = time.monotonic() + LIMIT
        while self.count < number:
            assert time.monotonic() < end, f"{self.count} of {number} wait"
            time.sleep(0.01)


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    return Waiting(monkeypatch)


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store()
    yield made
    made.go_on.set()


@pytest.fixture
def registry(store: Store, openai_server: OpenAIServer) -> Iterator[ClientRegistry]:
    openai_server.allow("sk-1")
    tenant = {
        "base_url": openai_server.base_url,
        "api_key": {"python": {"call": store}},
        "max_retries": 0,
        "timeout": LIMIT,
        "pool": {"max_connections": 2000},
    }
    config = {"refresh": {"wait": LIMIT}, "tenants": {"acme": tenant}}
    with ClientRegistry.open(config) as opened:
        yield opened


@pytest.mark.parametrize(("size", "threads"), SIZES)
def test_an_expired_secret_is_fetched_once_for_all(
    registry: ClientRegistry,
    store: Store,
    waiting: Waiting,
    openai_server: OpenAIServer,
    size: int,
    threads: int,
) -> None:
    """All requests that find it expired wait for one fetch, and all are answered."""
    lifetime = 0.2
    store.document = Document("sk-1", lifetime=lifetime)
    registry.client("acme").models.list()
    time.sleep(2 * lifetime)
    store.document = Document("sk-1")
    store.hang()
    waiting.count = 0
    herd = Herd(registry, size, threads)

    def meanwhile() -> None:
        waiting.until(herd.size)
        store.go_on.set()

    assert herd.size == herd.run(meanwhile)
    assert (1, 0) == (store.asked, openai_server.count(status=401))


@pytest.mark.parametrize(("size", "threads"), SIZES)
def test_a_revoked_secret_is_fetched_once_for_all(
    registry: ClientRegistry,
    store: Store,
    waiting: Waiting,
    openai_server: OpenAIServer,
    size: int,
    threads: int,
) -> None:
    """All requests that are answered 401 wait for one forced fetch, and each is sent once more."""
    registry.client("acme").models.list()
    store.hang()
    waiting.count = 0
    store.document = Document("sk-2")
    openai_server.allow("sk-2")
    openai_server.revoke("sk-1")
    openai_server.clear()
    herd = Herd(registry, size, threads)

    def meanwhile() -> None:
        waiting.until(herd.size)
        store.go_on.set()

    assert herd.size == herd.run(meanwhile)
    assert 1 == store.asked
    assert (herd.size, herd.size) == (
        openai_server.count(key="sk-1", status=401),
        openai_server.count(key="sk-2", status=200),
    )
