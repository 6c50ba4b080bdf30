"""Who uses a pool keeps it open, and the last who leaves a retired one closes it."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from tenantry import ClientRegistry
from tenantry.clients import pools
from tenantry.clients.http import httpx
from tenantry.clients.pools import AsyncCountedStream, CountedStream, LoopPool, OpenPool, ThreadPool
from tenantry.clients.sockets import Sockets
from tenantry.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from openai import AsyncOpenAI, OpenAI
    from tests.clients.conftest import Patient

KEY = "sk-acme-0123456789"
LIMIT = 10.0  # seconds after which a test that hangs fails
LIMITS = httpx.Limits(max_connections=10, max_keepalive_connections=4, keepalive_expiry=5)


class Transport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Counts how often it was closed."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.close()


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken

    def __iter__(self) -> Iterator[bytes]:
        yield b"data"

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"data"

    def close(self) -> None:
        if self.broken:
            raise OSError("broken")

    async def aclose(self) -> None:
        self.close()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def schedule() -> Iterator[Schedule]:
    made = Schedule()
    yield made
    made.close()


@pytest.fixture
def sockets(schedule: Schedule) -> Sockets:
    return Sockets(schedule, 100)


@pytest.fixture
def found() -> set[OpenPool]:
    """The pools that somebody can find."""
    return set()


@pytest.fixture
def transport() -> Transport:
    return Transport()


@pytest.fixture
def pool(transport: Transport, sockets: Sockets, found: set[OpenPool]) -> ThreadPool:
    made = ThreadPool(transport, (), LIMITS, sockets, found.discard)
    found.add(made)
    return made


@pytest.fixture
def registry(patient: Patient) -> Iterator[ClientRegistry]:
    said = {"base_url": patient.base_url, "api_key": SecretStr(KEY), "max_retries": 0}
    with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as opened:
        yield opened


def streamed(client: OpenAI) -> Any:
    messages: list[Any] = [{"role": "user", "content": "hi"}]
    return client.chat.completions.create(model="m", messages=messages, stream=True)


async def astreamed(client: AsyncOpenAI) -> Any:
    messages: list[Any] = [{"role": "user", "content": "hi"}]
    return await client.chat.completions.create(model="m", messages=messages, stream=True)


# -- one pool -------------------------------------------------------------------------------------


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


# -- bodies ---------------------------------------------------------------------------------------


def test_a_body_that_is_closed_twice_leaves_once(pool: ThreadPool) -> None:
    """The second `close` does not end the stay of somebody with the same token."""
    pool.enter("user")
    body = CountedStream(Body(), pool, "user")
    assert [b"data"] == list(body)
    body.close()
    pool.enter("user")  # a redirect goes on with the token of its request
    body.close()
    del body
    assert {"user"} == pool.users


async def test_an_async_body_that_is_closed_twice_leaves_once(pool: ThreadPool) -> None:
    """As for sync ones."""
    pool.enter("user")
    body = AsyncCountedStream(Body(), pool, "user")
    assert [b"data"] == [chunk async for chunk in body]
    await body.aclose()
    pool.enter("user")
    await body.aclose()
    del body
    assert {"user"} == pool.users


async def test_a_body_whose_closing_fails_is_over(pool: ThreadPool) -> None:
    """The failure reaches who closes, and the pool has no user any more."""
    for user in ("sync", "async"):
        pool.enter(user)
    with pytest.raises(OSError, match="broken"):
        CountedStream(Body(broken=True), pool, "sync").close()
    with pytest.raises(OSError, match="broken"):
        await AsyncCountedStream(Body(broken=True), pool, "async").aclose()
    assert set() == pool.users


@pytest.mark.parametrize("kind", [CountedStream, AsyncCountedStream])
def test_a_body_that_nobody_closes_is_over_when_it_is_collected(
    kind: Any, pool: ThreadPool, transport: Transport, found: set[OpenPool]
) -> None:
    """And so is its pool: only closing all closes a socket that is stuck in mid-body."""
    pool.enter("user")
    pool.enter("other")
    body = kind(Body(), pool, "user")
    del body
    gc.collect()
    assert ({"other"}, set(), 0) == (pool.users, found, transport.closed)
    pool.leave("other")
    assert 1 == transport.closed


def test_collecting_inside_a_count_does_not_hang(
    pool: ThreadPool, sockets: Sockets, transport: Transport
) -> None:
    """The garbage collector may run anywhere, and may retire a pool while sockets are counted."""
    pool.enter("user")
    abandoned = [CountedStream(Body(), pool, "user")]

    class Collects(ThreadPool):
        def settle(self) -> int:
            abandoned.clear()
            return super().settle()

    other = Collects(Transport(), (), LIMITS, sockets, lambda _: None)
    entering = threading.Thread(target=other.enter, args=("user",), daemon=True)
    entering.start()
    entering.join(LIMIT)
    assert not entering.is_alive(), "it waits for itself"
    assert (1, 1) == (transport.closed, len(sockets))


# -- on an event loop -----------------------------------------------------------------------------


class Slow(Transport):
    """Needs some turns of the loop to close, as one with several sockets does."""

    def __init__(self, turns: int = 5) -> None:
        super().__init__()
        self.turns = turns
        self.running = 0

    async def aclose(self) -> None:
        self.running += 1
        assert 1 == self.running
        for _ in range(self.turns):
            await asyncio.sleep(0)
        self.close()
        self.running -= 1


async def loop_pool(transport: Transport, sockets: Sockets) -> LoopPool:
    pool = LoopPool(transport, (), LIMITS, sockets, lambda _: None)
    await pool.open()
    return pool


async def test_a_pool_of_a_loop_closes_on_it(sockets: Sockets) -> None:
    """`close` starts it from any thread, and `aclose` waits for what was started."""
    transport = Slow()
    pool = await loop_pool(transport, sockets)
    await asyncio.to_thread(pool.close)
    await pool.aclose()
    assert transport.closed
    assert pool not in pools._closing


async def test_what_is_closed_asks_nothing_more_of_its_loop(sockets: Sockets) -> None:
    """Who lets go of it later starts no task, which a loop in its last turns would not run."""
    transport = Transport()
    pool = await loop_pool(transport, sockets)
    for closed in (1, 1, 2):
        if closed > transport.closed > 0:
            pool.enter("user")
            pool.leave("user")
        pool.close()
        for _ in range(5):
            await asyncio.sleep(0)
        assert closed == transport.closed


async def test_closing_from_all_sides_happens_one_by_one(
    sockets: Sockets, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever closes beside another waits with it, and no task ends with an error."""
    transport = Slow()
    pool = await loop_pool(transport, sockets)
    pool.close()
    pool.retire()
    await asyncio.gather(pool.aclose(), pool.aclose())
    assert transport.closed
    del pool
    gc.collect()
    assert [] == caplog.messages


async def test_who_gives_up_waiting_does_not_end_the_closing(sockets: Sockets) -> None:
    """A cancelled `aclose` leaves nothing half closed."""
    transport = Slow(turns=20)
    pool = await loop_pool(transport, sockets)
    waiting = asyncio.create_task(pool.aclose())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert 0 == transport.closed
    await pool.aclose()
    assert transport.closed


@pytest.mark.parametrize("turns", range(12))
def test_a_loop_that_ends_anywhere_closes_its_pool(sockets: Sockets, turns: int) -> None:
    """However far the closing has come when `asyncio.run` cancels all that runs."""
    transport = Slow()

    async def main(*, retired: bool) -> LoopPool:
        pool = await loop_pool(transport, sockets)
        if retired:
            pool.retire()
        for _ in range(turns):
            await asyncio.sleep(0)
        return pool

    for retired in (True, False):
        transport.closed = 0
        pool = asyncio.run(main(retired=retired))
        assert transport.closed
        assert pool.abandoned
        assert set() == pools._closing


async def test_what_cannot_be_awaited_to_the_end_is_cancelled() -> None:
    """A closing that waits for something that was cancelled itself ends with that."""

    async def closing() -> None:
        await asyncio.get_running_loop().create_future()

    async def close() -> None:
        await pools.to_the_end(closing())

    task = asyncio.create_task(close())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_pool_of_a_closed_loop_has_nothing_to_close(sockets: Sockets) -> None:
    """Its loop has closed it; asking again, from anywhere, is harmless."""
    transport = Transport()
    pool = asyncio.run(loop_pool(transport, sockets))
    pool.retire()
    pool.close()
    assert 1 == transport.closed


# -- with real sockets ----------------------------------------------------------------------------


def test_a_stream_outlives_the_retirement_of_its_pool(
    registry: ClientRegistry, patient: Patient
) -> None:
    """It is read to its end, then its socket closes; new requests have connected anew meanwhile."""
    client: Any = registry.client("acme")
    stream = streamed(client)
    first = next(iter(stream))
    client._client.connections.retire()
    client.models.list()
    assert 2 == len(patient.sockets)
    patient.body_go.set()
    texts = [chunk.choices[0].delta.content for chunk in (first, *stream)]
    assert ["first", "last"] == texts
    assert patient.left_with(sockets=1)


async def test_an_async_stream_outlives_the_retirement_of_its_pool(
    registry: ClientRegistry, patient: Patient
) -> None:
    """As for sync ones."""
    client: Any = registry.async_client("acme")
    stream = await astreamed(client)
    first = await anext(aiter(stream))
    client._client.connections.retire()
    await client.models.list()
    patient.body_go.set()
    texts = [first.choices[0].delta.content]
    texts += [chunk.choices[0].delta.content async for chunk in stream]
    assert ["first", "last"] == texts
    assert await asyncio.to_thread(patient.left_with, 1)
    await registry.aclose()


def test_a_stream_that_is_dropped_in_mid_body_keeps_no_socket(
    registry: ClientRegistry, patient: Patient
) -> None:
    """Neither one that was begun, nor one that nobody read, nor a raw one."""
    client = registry.client("acme")
    begun = streamed(client)
    next(iter(begun))
    unread = streamed(client)
    raw = client.chat.completions.with_raw_response
    kept = raw.create(model="m", messages=[{"role": "user", "content": "hi"}], stream=True)
    assert patient.left_with(sockets=3)
    del begun, unread, kept
    gc.collect()
    patient.body_go.set()  # the server notices who is gone when it writes
    assert patient.left_with(sockets=0)
    assert 0 == registry.status("acme").in_flight


async def test_an_async_stream_that_is_dropped_in_mid_body_keeps_no_socket(
    registry: ClientRegistry, patient: Patient
) -> None:
    """As for sync ones."""
    client = registry.async_client("acme")
    begun, unread = await astreamed(client), await astreamed(client)
    await anext(aiter(begun))
    assert await asyncio.to_thread(patient.left_with, 2)
    del begun, unread
    gc.collect()
    patient.body_go.set()
    assert await asyncio.to_thread(patient.left_with, 0)
    assert 0 == registry.status("acme").in_flight
    await registry.aclose()


@pytest.mark.parametrize("sync", [True, False])
async def test_a_request_that_fails_is_over(
    registry: ClientRegistry, patient: Patient, sync: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception of the transport leaves no user behind, whatever it is."""
    client: Any = registry.client("acme") if sync else registry.async_client("acme")
    transport = client._client.connections
    kind = ThreadPool if sync else LoopPool
    failing = Transport()

    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(failing, "handle_request", broken, raising=False)
    monkeypatch.setattr(failing, "handle_async_request", broken, raising=False)
    name = "sync_pool" if sync else "async_pool"
    monkeypatch.setattr(transport.connection, name, lambda _: failing)
    with pytest.raises(KeyboardInterrupt):
        await settled(client.models.list())
    [pool] = transport._known()
    assert (kind, set(), 0) == (type(pool), pool.users, registry.status("acme").in_flight)
    await registry.aclose()
    assert failing.closed


async def settled(value: Any) -> Any:
    return await value if hasattr(value, "__await__") else value
