"""Connections follow their users: over event loops, threads and forks, and end with them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from openai import APIConnectionError
from pydantic import SecretStr

from tenantry import ClientRegistry
from tenantry.clients import pools as open_pools
from tenantry.clients.http import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openai import AsyncOpenAI, OpenAI
    from tests.clients.conftest import Echo, Patient

    from tenantry.testing import OpenAIServer

KEY = "sk-acme-0123456789"
FOREIGN_KEY = "sk-globex-0123456789"


@pytest.fixture
def registry(server: OpenAIServer) -> Iterator[ClientRegistry]:
    said = {"base_url": server.base_url, "api_key": SecretStr(KEY)}
    with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as opened:
        yield opened
    gc.collect()  # what was not closed would warn here


def pools(client: Any) -> Any:
    """The transport below a client."""
    return client._client.connections


async def in_parallel(client: AsyncOpenAI, count: int) -> None:
    await asyncio.gather(*(client.models.list() for _ in range(count)))


# -- event loops ----------------------------------------------------------------------------------


def test_a_held_client_works_in_every_loop(registry: ClientRegistry, server: OpenAIServer) -> None:
    """One async client over twenty event loops: no request fails, no socket stays, nor a loop."""
    client = registry.async_client("acme")
    for _ in range(20):
        asyncio.run(in_parallel(client, 3))
        gc.collect()
    assert len(pools(client)._pools) <= 1
    assert 60 == server.count(status=200)


def test_loops_side_by_side_have_sockets_of_their_own(
    registry: ClientRegistry, server: OpenAIServer
) -> None:
    """Two loops in two threads use one client at once, and do not share a socket."""
    client = registry.async_client("acme")
    together = threading.Barrier(2)

    async def use() -> None:
        await client.models.list()
        await asyncio.to_thread(together.wait)
        await client.models.list()

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(asyncio.run, use()) for _ in range(2)]:
            done.result()
    assert (4, 2) == (server.count(status=200), server.connections)


async def test_one_loop_keeps_its_sockets(registry: ClientRegistry, server: OpenAIServer) -> None:
    """Requests in a row on one loop share a socket."""
    client = registry.async_client("acme")
    for _ in range(3):
        await client.models.list()
    assert 1 == server.connections
    await registry.aclose()


def test_a_loop_that_ends_while_it_closes_leaves_nothing_open(server: OpenAIServer) -> None:
    """`close()` as the last thing of a loop does not wait, and no socket is left behind."""

    async def use() -> None:
        said = {"base_url": server.base_url, "api_key": SecretStr(KEY)}
        with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as registry:
            await in_parallel(registry.async_client("acme"), 3)

    for _ in range(5):
        asyncio.run(use())
        gc.collect()
    assert set() == open_pools._closing


@pytest.mark.parametrize("http", ["httpx", "aiohttp"])
def test_another_threads_loop_closes_its_own(patient: Patient, http: str) -> None:
    """`close()` from a thread without a loop closes the sockets of the loop that runs elsewhere."""
    said = {"base_url": patient.base_url, "api_key": SecretStr(KEY), "http": http}
    with (
        ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as registry,
        running_loop() as loop,
    ):
        client = registry.async_client("acme")
        asyncio.run_coroutine_threadsafe(in_parallel(client, 2), loop).result(10)
        assert patient.left_with(sockets=2)
        registry.close()
        assert patient.left_with(sockets=0)


@contextlib.contextmanager
def running_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs in a thread."""
    loop = asyncio.new_event_loop()
    running = threading.Thread(target=loop.run_forever)
    running.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    running.join()
    loop.close()


async def emptied(transport: Any) -> None:
    """Close sockets, and give the loop the turns that this takes."""
    await transport.aclose()
    await asyncio.sleep(0.01)


def test_a_loop_that_was_closed_without_ceremony_is_forgotten(
    registry: ClientRegistry, server: OpenAIServer
) -> None:
    """A loop that closed without ending its generators is dropped when the next one comes."""
    client = registry.async_client("acme")
    loop = asyncio.new_event_loop()
    loop.run_until_complete(client.models.list())
    pool = pools(client)._pools[loop].transport
    loop.run_until_complete(emptied(pool))  # only the entry is left
    loop.close()
    asyncio.run(in_parallel(client, 1))
    assert loop not in pools(client)._pools
    assert 2 == server.count(status=200)


def test_closing_forgets_loops_that_are_closed(server: OpenAIServer) -> None:
    """`close()` after a loop closed without ceremony asks nothing of it."""
    said = {"base_url": server.base_url, "api_key": SecretStr(KEY)}
    with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as registry:
        client = registry.async_client("acme")
        loop = asyncio.new_event_loop()
        loop.run_until_complete(client.models.list())
        loop.run_until_complete(emptied(pools(client)._pools[loop].transport))
        loop.close()
    assert {} == pools(client)._pools


# -- threads --------------------------------------------------------------------------------------


def test_threads_share_one_pool(registry: ClientRegistry) -> None:
    """Threads that send first at once make one pool between them."""
    client = registry.client("acme")
    made: list[object] = []
    connection = pools(client).connection
    make = connection.sync_pool

    def counting(secrets: object) -> object:
        made.append(make(secrets))
        return made[-1]

    connection.sync_pool = counting
    together = threading.Barrier(8)

    def use() -> None:
        together.wait()
        client.models.list()

    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(use) for _ in range(8)]:
            done.result()
    assert 1 == len(made)


def test_a_disposed_pool_is_made_anew(registry: ClientRegistry, server: OpenAIServer) -> None:
    """Closing connections does not end a client: the next request opens another."""
    client: Any = registry.client("acme")
    client.models.list()
    client._client.connections.dispose()
    client._client.connections.dispose()
    client.models.list()
    assert (2, 2) == (server.count(status=200), server.connections)


@pytest.mark.parametrize("sync", [True, False])
def test_connections_end_with_their_last_user(server: OpenAIServer, sync: bool) -> None:
    """Sockets of an evicted client close when nobody holds it any more."""
    said = {"base_url": server.base_url, "api_key": SecretStr(KEY)}

    async def use() -> None:
        with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as registry:
            client: OpenAI | AsyncOpenAI = (
                registry.client("acme") if sync else registry.async_client("acme")
            )
            listing: Any = client.models.list()
            if not sync:
                await listing
            registry.evict("acme")
            del client, listing
            gc.collect()
            await asyncio.sleep(0)
        gc.collect()

    asyncio.run(use())


# -- forks ----------------------------------------------------------------------------------------


def in_child(work: Any) -> str:
    """Run `work` in a forked child, and return the text that it returns."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.write(writer, str(work()).encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as answer:  # noqa: PTH123  # a descriptor, not a path
        text = answer.read()
    os.waitpid(child, 0)
    return text


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_does_not_use_its_parents_sockets(
    registry: ClientRegistry, server: OpenAIServer
) -> None:
    """After a fork a held client opens sockets of its own, and the parent's go on working."""
    client = registry.client("acme")
    aclient = registry.async_client("acme")
    client.models.list()

    def work() -> int:
        asyncio.run(in_parallel(aclient, 1))
        return len(client.models.list().data)

    assert "2" == in_child(work)
    client.models.list()
    ports = [request.client_port for request in server.requests]
    assert (4, 3) == (len(ports), len(set(ports)))
    assert ports[0] == ports[3]


async def test_a_fork_parks_the_pools(registry: ClientRegistry, server: OpenAIServer) -> None:
    """What a child does first with its transports leaves the parent's sockets open."""
    client, aclient = registry.client("acme"), registry.async_client("acme")
    client.models.list()
    await aclient.models.list()
    for each in (client, aclient):
        before = vars(pools(each)).copy()
        pools(each).after_fork()
        assert 1 == len(pools(each)._parked)
        vars(pools(each)).update(before)
    await registry.aclose()


def test_a_fork_before_the_first_request_parks_nothing(registry: ClientRegistry) -> None:
    """A client that has no sockets yet has none to park."""
    for client in (registry.client("acme"), registry.async_client("acme")):
        pools(client).after_fork()
        assert () == pools(client)._parked


def test_what_is_in_flight_in_the_parent_is_not_in_the_child(patient: Patient) -> None:
    """A child has nothing to drain, whatever its parent waits for."""
    said = {"base_url": patient.base_url, "api_key": SecretStr(KEY)}
    with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as registry:
        client = registry.client("acme")
        patient.headers_go.clear()
        with ThreadPoolExecutor(1) as threads:
            listing = threads.submit(client.models.list)
            patient.arrived()
            with warnings.catch_warnings():
                # Python 3.12 warns of forks beside threads: what happens then is tested here.
                warnings.simplefilter("ignore", DeprecationWarning)
                assert "{}" == in_child(lambda: registry.drain(5))
            assert {"acme": 1} == registry.drain(0)
            patient.headers_go.set()
            listing.result(10)


# -- what is in flight ----------------------------------------------------------------------------


@pytest.mark.parametrize("sync", [True, False])
async def test_pools_in_use_are_known_when_they_are_retired(patient: Patient, sync: bool) -> None:
    """As many as there are, until they are no longer used."""
    said = {"base_url": patient.base_url, "api_key": SecretStr(KEY), "max_retries": 0}
    async with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as registry:
        client: Any = registry.client("acme") if sync else registry.async_client("acme")
        streams = []
        for _ in range(2):
            streams.append(await streamed(client))
            pools(client).retire()
        assert 2 == len(list(pools(client).users()))
        patient.body_go.set()
        for stream in streams:
            await read(stream)
        await settled(client.models.list())
        pools(client).retire()
        assert ([], ()) == (list(pools(client).users()), pools(client)._retired)


@pytest.mark.parametrize(("sync", "http"), [(True, "auto"), (False, "httpx"), (False, "aiohttp")])
@pytest.mark.parametrize("retired", [True, False])
async def test_disposing_closes_what_is_in_use_too(
    patient: Patient, sync: bool, http: str, retired: bool
) -> None:
    """A stream that is read when its registry closes ends with an error, and leaves no socket."""
    said = {"base_url": patient.base_url, "api_key": SecretStr(KEY), "http": http}
    async with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as registry:
        client: Any = registry.client("acme") if sync else registry.async_client("acme")
        stream = await streamed(client)
        if retired:
            pools(client).retire()
        await registry.aclose()
        patient.body_go.set()
        with pytest.raises((APIConnectionError, httpx.TransportError)):
            await read(stream)
    assert await asyncio.to_thread(patient.left_with, 0)


async def settled(value: Any) -> Any:
    return await value if hasattr(value, "__await__") else value


async def streamed(client: Any) -> Any:
    messages = [{"role": "user", "content": "hi"}]
    creating = client.chat.completions.create(model="m", messages=messages, stream=True)
    return await settled(creating)


async def read(stream: Any) -> list[Any]:
    if hasattr(stream, "__aiter__"):
        return [chunk async for chunk in stream]
    return list(stream)


@pytest.mark.parametrize("sync", [True, False])
async def test_a_redirect_counts_once(patient: Patient, sync: bool) -> None:
    """Its hops are one request, and nothing is in flight when the last has been answered."""
    said = {"base_url": patient.base_url, "api_key": SecretStr(KEY), "max_retries": 0}
    async with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as registry:
        client: Any = registry.client("acme") if sync else registry.async_client("acme")
        counts: list[int] = []
        check_hop = client.gate.check_hop

        def counting(request: Any) -> None:
            counts.append(registry.status("acme").in_flight)
            check_hop(request)

        client.gate.check_hop = counting
        for _ in range(2):
            await settled(client.get("/moved", cast_to=object))
        assert ({1}, 0) == (set(counts), registry.status("acme").in_flight)
        patient.arrived(4)


@pytest.mark.parametrize("sync", [True, False])
async def test_a_replayed_request_counts_once(server: OpenAIServer, sync: bool) -> None:
    """A 401 and what is sent after it are one request."""
    keys = iter([FOREIGN_KEY, KEY])
    said = {
        "base_url": server.base_url,
        "api_key": {"python": {"call": lambda: next(keys)}},
        "max_retries": 0,
    }
    async with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as registry:
        client: Any = registry.client("acme") if sync else registry.async_client("acme")
        counts: list[int] = []
        check_hop = client.gate.check_hop

        def counting(request: Any) -> None:
            counts.append(registry.status("acme").in_flight)
            check_hop(request)

        client.gate.check_hop = counting
        await settled(client.models.list())
        assert ({1}, 0) == (set(counts), registry.status("acme").in_flight)
    assert [401, 200] == [request.status for request in server.requests]


# -- races ----------------------------------------------------------------------------------------


def hasty(work: Any, threads: int, turns: int) -> None:
    """Do something from threads that take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(threads) as executor:
            for done in [executor.submit(work, each, turns) for each in range(threads)]:
                done.result(100)
    finally:
        sys.setswitchinterval(before)


@pytest.mark.parametrize("turns", [20, pytest.param(500, marks=pytest.mark.stress)])
def test_retiring_beside_requests_fails_none(patient: Patient, turns: int) -> None:
    """Threads send while others retire the pool: all are answered, and no socket is left."""
    said = {"base_url": patient.base_url, "api_key": SecretStr(KEY), "max_retries": 0}
    with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as registry:
        client: Any = registry.client("acme")

        def work(number: int, turns: int) -> None:
            for _ in range(turns):
                if number % 2:
                    client.models.list()
                pools(client).retire()

        hasty(work, 6, turns)
        assert [] == list(pools(client).users())
        assert patient.left_with(sockets=0)
        assert 0 == len(registry._sockets)
    patient.arrived(3 * turns)


@pytest.mark.parametrize("http", ["httpx", "aiohttp"])
@pytest.mark.parametrize("turns", [20, pytest.param(300, marks=pytest.mark.stress)])
def test_retiring_beside_loops_fails_none(patient: Patient, turns: int, http: str) -> None:
    """Loops send while threads retire their pools: all are answered, and no socket is left."""
    said = {"base_url": patient.base_url, "api_key": SecretStr(KEY), "max_retries": 0, "http": http}
    with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as registry:
        client: Any = registry.async_client("acme")

        async def send(turns: int) -> None:
            for _ in range(turns):
                await in_parallel(client, 2)
                pools(client).retire()

        def work(number: int, turns: int) -> None:
            if number % 2:
                asyncio.run(send(turns))
                return
            for _ in range(turns):
                pools(client).retire()

        hasty(work, 4, turns)
        assert [] == list(pools(client).users())
        assert patient.left_with(sockets=0)
        registry._sockets.due()
        assert 0 == len(registry._sockets)
    patient.arrived(4 * turns)


# -- secrets that a connection needs --------------------------------------------------------------


@pytest.mark.parametrize("sync", [True, False])
async def test_other_secrets_mean_another_pool(patient: Patient, sync: bool) -> None:
    """What was opened with the old ones ends with its last user; new requests do not use it."""
    said = {"base_url": patient.base_url, "api_key": SecretStr(KEY), "max_retries": 0}
    async with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as registry:
        client: Any = registry.client("acme") if sync else registry.async_client("acme")
        connection = pools(client).connection
        secret = Rotating()
        connection.credentials = (secret,)
        make = connection.sync_pool if sync else connection.async_pool
        setattr(connection, "sync_pool" if sync else "async_pool", lambda _: make(()))
        stream = await streamed(client)
        secret.value = "second"
        for _ in range(2):
            await settled(client.models.list())
        assert 2 == len(patient.sockets)
        patient.body_go.set()
        assert 2 == len(await read(stream))
        assert await asyncio.to_thread(patient.left_with, 1)


class Rotating:
    """A credential whose value the test sets."""

    value = "first"

    def get(self) -> str:
        return self.value

    async def aget(self) -> str:
        return self.value


# -- cookies --------------------------------------------------------------------------------------


async def test_cookies_do_not_come_back(echo: Echo) -> None:
    """A cookie that an answer sets is sent with no later request, by no client of the tenant."""
    said = {"base_url": f"{echo.url}/v1", "api_key": SecretStr(KEY)}
    async with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as registry:
        client, aclient = registry.client("acme"), registry.async_client("acme")
        for _ in range(2):
            client.models.list()
            client.with_options(timeout=5).models.list()
            await aclient.models.list()
    assert 6 == len(echo.seen)
    assert not any("cookie" in headers for _, headers in echo.seen)
