"""Children work with clients that their parent holds, and take nothing from it."""

from __future__ import annotations

import asyncio
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tests.forking import forked, joined
from tests.soaks.lifetimes.conftest import HTTP, KEY, LIMIT, Both, ask, opened, stream

if TYPE_CHECKING:
    from tenantry import ClientRegistry
    from tenantry.testing import OpenAIServer


@HTTP
@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("children", [3, pytest.param(20, marks=pytest.mark.stress)])
def test_children_before_beside_and_after_traffic(
    server: OpenAIServer, http: str, children: int
) -> None:
    """Several at a time use clients that their parent holds: no request fails anywhere."""
    with opened(server, http=http) as registry:
        both, stop = Both(registry), threading.Event()
        before = [forked(both.use) for _ in range(children)]
        both.use()

        def traffic() -> int:
            rounds = 0
            while not stop.is_set():
                both.use()
                rounds += 1
            return rounds

        with ThreadPoolExecutor(2) as threads:
            running = [threads.submit(traffic) for _ in range(2)]
            beside = [forked(both.use) for _ in range(children)]
            codes = joined(*before, *beside)
            stop.set()
            rounds = sum(each.result(LIMIT) for each in running)
        after = [forked(both.use) for _ in range(children)]
        both.use()
        assert [0] * 3 * children == [*codes, *joined(*after)]
    assert 6 * (3 * children + rounds + 2) == server.count(status=200)


@pytest.mark.usefixtures("untouched")
def test_children_of_a_loop_that_runs(server: OpenAIServer) -> None:
    """A child that is forked from within a coroutine has its own loop, and its parent goes on."""

    async def main(registry: ClientRegistry) -> None:
        both = Both(registry)
        await ask(both.aclient)

        def work() -> None:  # pragma: no cover  # runs in the child
            asyncio.set_event_loop(None)
            with ThreadPoolExecutor(1) as thread:
                thread.submit(both.use).result(LIMIT)

        children = [forked(work) for _ in range(2)]
        under_way = asyncio.create_task(ask(both.aclient, 6))
        assert [0, 0] == await asyncio.to_thread(joined, *children)
        await under_way
        await ask(both.aclient)

    with opened(server) as registry:
        asyncio.run(main(registry))
    assert 3 + 2 * 6 + 6 + 3 == server.count(status=200)


@pytest.mark.usefixtures("untouched")
def test_children_that_are_forked_in_mid_fetch(server: OpenAIServer) -> None:
    """They fetch for themselves, and the parent's fetch lands."""
    begun, go_on = threading.Event(), threading.Event()

    def source() -> str:
        begun.set()
        assert go_on.wait(LIMIT)
        return KEY

    with opened(server, api_key={"python": {"call": source}}) as registry:
        both = Both(registry)
        with ThreadPoolExecutor(1) as threads:
            asking = threads.submit(both.use)
            assert begun.wait(LIMIT)

            def work() -> None:  # pragma: no cover  # runs in the child
                go_on.set()
                both.use()

            codes = joined(*(forked(work) for _ in range(3)))
            go_on.set()
            asking.result(LIMIT)
        assert [0, 0, 0] == codes
    assert 24 == server.count(status=200)


@pytest.mark.usefixtures("untouched")
def test_a_child_that_closes_its_registry_closes_none_of_its_parents(server: OpenAIServer) -> None:
    """Sockets, gates and threads of the parent stay, and those of a stream that it reads."""
    server.stream_pace(0.005)
    with opened(server) as registry:
        both = Both(registry)
        both.use()
        whole = len(list(stream(both.client)))
        chunks = iter(stream(both.client))
        next(chunks)

        def work() -> None:  # pragma: no cover  # runs in the child
            both.use()
            registry.close()
            gc.collect()

        assert [0, 0] == joined(forked(work), forked(registry.close))
        assert whole - 1 == len(list(chunks))
        both.use()
    server.reset()
