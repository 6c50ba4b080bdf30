"""A client works in every event loop, with sockets of its own in each, and leaves none behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from tests.clients.transport.conftest import KEY, in_parallel, pools

from tenantry import ClientRegistry
from tenantry.clients import pools as open_pools

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.clients.conftest import Patient

    from tenantry.testing import OpenAIServer


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
