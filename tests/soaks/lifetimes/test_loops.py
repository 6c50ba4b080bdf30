"""A client that somebody holds works in every loop and thread, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import copy
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tests.soaks.lifetimes.conftest import HTTP, LIMIT, ask, opened

if TYPE_CHECKING:
    from openai import AsyncOpenAI

    from tenantry.testing import OpenAIServer


@HTTP
@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("loops", [20, pytest.param(300, marks=pytest.mark.stress)])
def test_one_client_over_many_loops(
    server: OpenAIServer, http: str, loops: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Held or asked for again, it works in each `asyncio.run`."""
    with opened(server, http=http) as registry:
        held = registry.async_client("acme")
        for _ in range(loops):
            asyncio.run(ask(held))
            asyncio.run(ask(registry.async_client("acme", timeout=20)))
    assert 6 * loops == server.count(status=200)
    assert [] == [each for each in caplog.messages if "loop" in each or "Task" in each]


@HTTP
@pytest.mark.usefixtures("untouched")
def test_a_loop_for_each_request(server: OpenAIServer, http: str) -> None:
    """As WSGI servers give to async views: made, ended and closed by hand, in worker threads."""

    def view(client: AsyncOpenAI) -> None:
        loop = asyncio.new_event_loop()
        try:
            loop.run_until_complete(ask(client, 1))
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    with opened(server, http=http) as registry, ThreadPoolExecutor(4) as workers:
        held = registry.async_client("acme")
        for done in [workers.submit(view, held) for _ in range(24)]:
            done.result(LIMIT)
    assert 24 == server.count(status=200)


@HTTP
@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("rounds", [4, pytest.param(60, marks=pytest.mark.stress)])
def test_threads_and_loops_side_by_side(server: OpenAIServer, http: str, rounds: int) -> None:
    """Threads with and without a loop use the same tenant, while it is evicted again and again."""
    with opened(server, http=http) as registry:
        held, aheld = registry.client("acme"), registry.async_client("acme")

        def use(number: int) -> None:
            for _ in range(rounds):
                held.models.list()
                asyncio.run(ask(aheld, 2))
                registry.client("acme").models.list()
                if number == 0:
                    registry.evict("acme")

        with ThreadPoolExecutor(4) as threads:
            for done in [threads.submit(use, number) for number in range(4)]:
                done.result(LIMIT)
    assert 16 * rounds == server.count(status=200)


@HTTP
@pytest.mark.usefixtures("untouched")
def test_clones_that_are_closed_close_nothing(server: OpenAIServer, http: str) -> None:
    """`with clone:` and `async with clone:`, in loop after loop, leave the others working."""

    async def use(client: AsyncOpenAI) -> None:
        async with client.with_options(timeout=20) as clone:
            await ask(clone)
        await ask(client)
        await client.close()
        await ask(client)

    with opened(server, http=http) as registry:
        client, aclient = registry.client("acme"), registry.async_client("acme")
        for _ in range(3):
            with client.with_options(timeout=20) as clone:
                clone.models.list()
            client.close()
            client.models.list()
            asyncio.run(use(aclient))
    assert 33 == server.count(status=200)


@pytest.mark.usefixtures("untouched")
def test_copies_are_the_same_client(server: OpenAIServer) -> None:
    """`deepcopy` of a client, alone or within something, and of its registry, shares all."""
    with opened(server) as registry:
        client, aclient = registry.client("acme"), registry.async_client("acme")
        twin = copy.deepcopy({"clients": [client, aclient], "registry": registry})
        assert [client, aclient] == twin["clients"]
        assert registry is twin["registry"]
        copy.deepcopy(client).models.list()
        asyncio.run(ask(copy.deepcopy(aclient), 1))
    assert 2 == server.count(status=200)
