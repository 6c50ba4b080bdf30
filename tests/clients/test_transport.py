"""Connections follow their users: over event loops, threads and forks, and end with them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from tenantry import ClientRegistry
from tenantry.clients import transport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openai import AsyncOpenAI, OpenAI
    from tests.clients.conftest import Echo

    from tenantry.testing import OpenAIServer

KEY = "sk-acme-0123456789"


@pytest.fixture
def registry(server: OpenAIServer) -> Iterator[ClientRegistry]:
    said = {"base_url": server.base_url, "api_key": SecretStr(KEY)}
    with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as opened:
        yield opened
    gc.collect()  # what was not closed would warn here


def pools(client: Any) -> Any:
    """The transport below a client."""
    return client._client._pools


async def in_parallel(client: AsyncOpenAI, count: int) -> None:
    await asyncio.gather(*(client.models.list() for _ in range(count)))


# -- event loops ----------------------------------------------------------------------------------


def test_a_held_client_works_in_every_loop(registry: ClientRegistry, server: OpenAIServer) -> None:
    """One async client over twenty event loops: no request fails, no socket and one entry stay."""
    client = registry.async_client("acme")
    for _ in range(20):
        asyncio.run(in_parallel(client, 3))
        gc.collect()
    assert 1 == len(pools(client)._pools)
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
    assert set() == transport._closing


def test_another_threads_loop_closes_its_own(
    registry: ClientRegistry, server: OpenAIServer
) -> None:
    """`close()` from a thread without a loop closes the sockets of the loop that runs elsewhere."""
    client = registry.async_client("acme")
    loop = asyncio.new_event_loop()
    running = threading.Thread(target=loop.run_forever)
    running.start()
    asyncio.run_coroutine_threadsafe(in_parallel(client, 2), loop).result(10)
    pool = pools(client)._pools[loop].pool
    registry.close()
    # What was scheduled before this has run when this has.
    asyncio.run_coroutine_threadsafe(asyncio.sleep(0.01), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    running.join()
    assert [] == pool._pool.connections
    loop.close()


def test_a_loop_that_was_closed_without_ceremony_is_forgotten(
    registry: ClientRegistry, server: OpenAIServer
) -> None:
    """A loop that closed without ending its generators is dropped when the next one comes."""
    client = registry.async_client("acme")
    loop = asyncio.new_event_loop()
    loop.run_until_complete(client.models.list())
    pool = pools(client)._pools[loop].pool
    loop.run_until_complete(pool.aclose())  # only the entry is left
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
        loop.run_until_complete(pools(client)._pools[loop].pool.aclose())
        loop.close()
    assert {} == pools(client)._pools


# -- threads --------------------------------------------------------------------------------------


def test_threads_share_one_pool(registry: ClientRegistry) -> None:
    """Threads that send first at once make one pool between them."""
    client = registry.client("acme")
    made: list[object] = []
    make = pools(client)._make

    def counting() -> object:
        made.append(make())
        return made[-1]

    pools(client)._make = counting
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
    client._client.dispose()
    client._client.dispose()
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
    client = registry.client("acme")
    pools(client).after_fork()
    assert [] == pools(client)._parked


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
