"""Threads share a pool, whose connections end with their last user."""

from __future__ import annotations

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from tests.clients.transport.conftest import KEY, pools

from tenantry import ClientRegistry

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

    from tenantry.testing import OpenAIServer


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
