"""Who holds a stream or a client goes on, and what nobody holds or closed is gone."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest
from tests.soaks.lifetimes.conftest import HTTP, Both, ask, opened, stream, traces

if TYPE_CHECKING:
    from tenantry import ClientRegistry
    from tenantry.testing import OpenAIServer


# -- eviction -------------------------------------------------------------------------------------


@HTTP
@pytest.mark.usefixtures("untouched")
def test_streams_outlive_evictions(server: OpenAIServer, http: str) -> None:
    """Each is read to its end, whatever happens to its client meanwhile, and is then gone."""
    server.stream_pace(0.01)

    async def read(registry: ClientRegistry) -> int:
        events = 0
        async for _ in await stream(registry.async_client("acme")):
            registry.evict("acme")
            gc.collect()
            events += 1
        return events

    with opened(server, http=http) as registry:
        whole = len(list(stream(registry.client("acme"))))
        for _ in range(2):
            events = 0
            for _ in stream(registry.client("acme")):
                registry.evict("acme")
                gc.collect()
                events += 1
            assert whole == events == asyncio.run(read(registry))
        assert {} == registry.drain(timeout=0)
    server.reset()


# -- what nobody closed ---------------------------------------------------------------------------


def drop(held: list[ClientRegistry]) -> None:
    held.clear()
    gc.collect()


@HTTP
@pytest.mark.usefixtures("untouched")
def test_a_registry_that_nobody_holds_is_gone(server: OpenAIServer, http: str) -> None:
    """With a warning, and with all its sockets and threads."""
    registries = [opened(server, http=http)]
    Both(registries[0]).use()
    with pytest.warns(ResourceWarning, match="was not closed"):
        drop(registries)


@HTTP
@pytest.mark.usefixtures("untouched")
def test_clients_outlive_a_registry_that_nobody_holds(server: OpenAIServer, http: str) -> None:
    """They work on, and the last of them takes all with it."""
    registries = [opened(server, http=http)]
    both = Both(registries[0])
    with pytest.warns(ResourceWarning, match="was not closed"):
        drop(registries)
    both.use()
    del both
    assert 6 == server.count(status=200)


@HTTP
@pytest.mark.usefixtures("untouched")
async def test_clients_of_a_running_loop_are_gone_with_their_last_holder(
    server: OpenAIServer, http: str
) -> None:
    """Collected while the loop runs, their sockets are closed by it."""
    registry = opened(server, http=http)
    client = registry.async_client("acme")
    await ask(client)
    registry.evict("acme")
    await ask(client)
    files = traces()[0]
    del client
    gc.collect()
    for _ in range(100):
        if traces()[0] < files:
            break
        await asyncio.sleep(0.01)
    assert files - 3 >= traces()[0]
    await registry.aclose()
