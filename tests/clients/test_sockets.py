"""Idle sockets are closed in time, and so many are not kept as would use up the files."""

from __future__ import annotations

import asyncio
import gc
import math
import resource
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from tests.forking import in_child

from tenantry import ClientRegistry
from tenantry.clients import pools, sockets
from tenantry.clients.http import httpx
from tenantry.clients.pools import LoopPool, OpenPool, ThreadPool
from tenantry.clients.sockets import ALL_FILES, SHORTEST_NAP, Sockets, half_of_all_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.clients.conftest import Patient

KEY = "sk-acme-0123456789"
LIMIT = 10.0  # seconds after which a test that hangs fails
LOOK = 7  # requests between two counts of sockets; less than are closed at once
ESTABLISHED = "01"  # in /proc/net/tcp


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Book:
    """A schedule that notes what is asked of it, and calls nobody."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    def at(self, when: float, _: object) -> None:
        self.asked.append(when)


class Transport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    closed = False

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(pools, "clock", made)
    monkeypatch.setattr(sockets, "clock", made)
    return made


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def counted(book: Any) -> Sockets:
    return Sockets(book, 10)


@pytest.fixture
def make(counted: Sockets) -> Callable[..., ThreadPool]:
    def made(*, expiry: float | None = 5.0) -> ThreadPool:
        limits = httpx.Limits(keepalive_expiry=expiry)
        return ThreadPool(Transport(), (), limits, counted, lambda _: None)

    return made


def used(pool: OpenPool, times: int = 1) -> OpenPool:
    """Have a pool used by so many at once."""
    users = [object() for _ in range(times)]
    for user in users:
        pool.enter(user)
    for user in users:
        pool.leave(user)
    return pool


def closed(pool: Any) -> bool:
    found: bool = pool.transport.closed
    return found


# -- in time --------------------------------------------------------------------------------------


def test_what_is_idle_for_long_enough_is_closed(
    clock: Clock, counted: Sockets, make: Callable[..., ThreadPool]
) -> None:
    """No other request is needed, and what was used since stays."""
    idle, lately = used(make()), make()
    clock.now += 4
    used(lately)
    clock.now += 1
    counted.due()
    assert (True, False, 1) == (closed(idle), closed(lately), len(counted))


def test_what_is_in_use_is_never_closed(
    clock: Clock, counted: Sockets, make: Callable[..., ThreadPool]
) -> None:
    """However long ago it began; its idle time begins when it ends."""
    pool = make()
    pool.enter("user")
    clock.now += 3600
    counted.due()
    assert not closed(pool)
    pool.leave("user")
    clock.now += 4
    counted.due()
    assert not closed(pool)
    clock.now += 1
    counted.due()
    assert closed(pool)


def test_it_is_called_while_anything_can_expire(
    clock: Clock, book: Book, counted: Sockets, make: Callable[..., ThreadPool]
) -> None:
    """At first soon, then when the nearest expires, and not again once nothing is open."""
    used(make())
    clock.now += 1
    used(make())
    counted.due()
    clock.now += 4
    counted.due()
    clock.now += 1
    counted.due()
    assert [1000 + SHORTEST_NAP, 1005, 1006] == book.asked
    used(make())
    assert 1006 + SHORTEST_NAP == book.asked[-1]


def test_one_that_is_busy_is_looked_at_now_and_then(
    clock: Clock, book: Book, counted: Sockets, make: Callable[..., ThreadPool]
) -> None:
    """Not without a pause, although its sockets would have expired."""
    make().enter("user")
    clock.now += 3600
    counted.due()
    assert clock.now + SHORTEST_NAP == book.asked[-1]


def test_sockets_that_are_kept_for_ever_are_not_waited_for(
    clock: Clock, book: Book, counted: Sockets, make: Callable[..., ThreadPool]
) -> None:
    """`keepalive_expiry: null` needs no sweep; one that can expire beside it has its own."""
    kept = used(make(expiry=None))
    clock.now += 3600
    counted.due()
    assert (1, 1, False) == (len(book.asked), len(counted), closed(kept))
    used(make())
    assert 2 == len(book.asked)


def test_pools_of_loops_that_are_closed_are_forgotten(clock: Clock, counted: Sockets) -> None:
    """Whether or not they would have expired: nobody finds them any more."""
    forgotten: list[OpenPool] = []

    async def use() -> LoopPool:
        limits = httpx.Limits(keepalive_expiry=None)
        pool = LoopPool(Transport(), (), limits, counted, forgotten.append)
        await pool.open()
        pool.enter("user")
        return pool

    pool = asyncio.run(use())
    counted.due()
    assert ([pool], 0) == (forgotten, len(counted))


# -- above the limit ------------------------------------------------------------------------------


def test_above_the_limit_the_longest_idle_are_closed(
    clock: Clock, counted: Sockets, make: Callable[..., ThreadPool]
) -> None:
    """One too many closes a tenth, so that the next is not one too many again."""
    made = []
    for _ in range(11):
        clock.now += 1
        made.append(used(make()))
    assert [True, True, *[False] * 9] == [closed(pool) for pool in made]
    assert 9 == len(counted)


def test_above_the_limit_nothing_in_use_is_closed(
    counted: Sockets, make: Callable[..., ThreadPool]
) -> None:
    """More than the limit are open while more are in use; and when they end they are not kept."""
    busy = [make() for _ in range(15)]
    for pool in busy:
        pool.enter("user")
    idle = used(make())
    assert [False] * 15 == [closed(pool) for pool in busy]
    assert closed(idle)
    for pool in busy:
        pool.leave("user")
    assert 10 == len(counted) == [closed(pool) for pool in busy].count(False)


def test_many_who_begin_at_once_are_all_counted(
    counted: Sockets, make: Callable[..., ThreadPool]
) -> None:
    """However many threads were ahead of the first that looks."""
    pool = make()
    pool.users.update(["others", "who", "entered"])
    pool.enter("user")
    assert 4 == len(counted)


def test_what_http_closes_by_itself_is_not_counted(
    counted: Sockets, make: Callable[..., ThreadPool]
) -> None:
    """Of what was open at once, no more count than are kept, when it comes to closing some."""
    pool = make()
    pool._kept = 2
    used(pool, times=9)
    others = [used(make()) for _ in range(2)]
    assert [False] * 3 == [closed(each) for each in (pool, *others)]
    assert 4 == len(counted)


def test_a_lower_limit_holds_at_once(counted: Sockets, make: Callable[..., ThreadPool]) -> None:
    """As after a reload."""
    made = [used(make()) for _ in range(8)]
    counted.limit = 4
    used(make())
    assert len(counted) <= 4
    assert closed(made[0])


@pytest.mark.parametrize(
    ("files", "most"), [(1024, 512), (resource.RLIM_INFINITY, ALL_FILES), (65_536, 32_768)]
)
def test_by_default_half_of_the_files_may_be_sockets(
    files: int, most: int, book: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is read when nothing is said."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, math.inf))
    assert most == half_of_all_files() == Sockets(book).limit


# -- real sockets ---------------------------------------------------------------------------------


def open_to(server: Patient) -> int:
    """Count this machine's client sockets to a server.

    The system's list is read in pieces, between which others come and go: two looks have to agree.
    """
    before, now = -1, looked(server)
    while now != before:
        before, now = now, looked(server)
    return now


def looked(server: Patient) -> int:
    remote = f":{server.server_port:04X}"
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    fields = [line.split() for line in lines]
    return sum(each[2].endswith(remote) and each[3] == ESTABLISHED for each in fields)


@pytest.fixture
def many(patient: Patient) -> Iterator[ClientRegistry]:
    said = {"base_url": patient.base_url, "api_key": SecretStr(KEY), "max_retries": 0}
    config = {
        "registry": {"max_sockets": 50},
        "tenants": {f"tenant-{number}": said for number in range(300)},
    }
    with ClientRegistry.open(config, environ={}) as opened:
        yield opened


def test_three_hundred_tenants_share_fifty_sockets(many: ClientRegistry, patient: Patient) -> None:
    """Whatever is closed, each request of sync clients succeeds."""
    counts: list[int] = []
    for number, name in enumerate(many.tenants):
        many.client(name).models.list()
        if number % LOOK == 0:
            counts.append(open_to(patient))
    assert 40 <= max(counts) <= 51
    patient.arrived(300)


async def test_three_hundred_tenants_share_fifty_async_sockets(
    many: ClientRegistry, patient: Patient
) -> None:
    """As for sync ones; what is closed is closed within some turns of the loop."""
    counts: list[int] = []
    for number, name in enumerate(many.tenants):
        await many.async_client(name).models.list()
        if number % LOOK == 0:
            for _ in range(200):
                if open_to(patient) <= 51:
                    break
                await asyncio.sleep(0.01)
            counts.append(open_to(patient))
    assert 40 <= max(counts) <= 51
    patient.arrived(300)
    await many.aclose()


async def test_what_is_in_flight_comes_on_top(many: ClientRegistry, patient: Patient) -> None:
    """Sixty at once have sixty sockets, and when they are over no more than fifty stay."""
    patient.headers_go.clear()
    clients = [many.async_client(name) for name in [*many.tenants][:60]]
    under_way = asyncio.gather(*(client.models.list() for client in clients))
    await asyncio.gather(asyncio.to_thread(patient.arrived, 60))
    assert 60 == open_to(patient)
    patient.headers_go.set()
    assert 60 == len(await under_way)
    for _ in range(200):  # it takes some turns of the loop
        if open_to(patient) <= 50:
            break
        await asyncio.sleep(0.01)
    assert 40 <= open_to(patient) <= 50
    await many.aclose()


def test_idle_sockets_close_without_another_request(patient: Patient) -> None:
    """The registry's own thread sees to it, for sync and async clients."""
    said = {
        "base_url": patient.base_url,
        "api_key": SecretStr(KEY),
        "pool": {"keepalive_expiry": 0.1},
        "http": "httpx",
    }
    with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as registry:
        loop = asyncio.new_event_loop()
        running = threading.Thread(target=loop.run_forever)
        running.start()
        try:
            registry.client("acme").models.list()
            listing = listed(registry)
            asyncio.run_coroutine_threadsafe(listing, loop).result(LIMIT)
            assert patient.left_with(sockets=0)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            running.join()
            loop.close()


async def listed(registry: ClientRegistry) -> object:
    return await registry.async_client("acme").models.list()


def test_a_child_counts_and_sweeps_for_itself(patient: Patient) -> None:
    """It begins with no socket, closes its own idle ones, and leaves those of the parent alone."""
    pool = {"keepalive_expiry": 0.1}
    said = {"base_url": patient.base_url, "api_key": SecretStr(KEY), "pool": pool}
    kept = {**said, "pool": {"keepalive_expiry": 600}}
    config = {"tenants": {"acme": said, "globex": kept}}
    with ClientRegistry.open(config, environ={}) as registry:
        clients = [registry.client("globex"), registry.client("acme")]
        clients[0].models.list()

        def work() -> bool:  # pragma: no cover  # runs in the child
            gc.collect()
            before = len(registry._sockets)
            clients[1].models.list()
            return (0, 1) == (before, len(registry._sockets)) and swept(registry)

        assert in_child(work)
        assert 1 == len(registry._sockets)
        clients[0].models.list()
        assert patient.left_with(sockets=1)


def swept(registry: ClientRegistry) -> bool:  # pragma: no cover  # runs in a child
    """Wait for the sweeper to close all."""
    pause = threading.Event()
    for _ in range(1000):
        if not len(registry._sockets):
            return True
        pause.wait(0.01)
    return False
