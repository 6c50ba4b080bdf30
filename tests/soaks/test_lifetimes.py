"""A client that somebody holds works in every loop, thread and child, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import os
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from tenantry import ClientRegistry
from tenantry.refresher import Refresher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from openai import AsyncOpenAI, OpenAI

    from tenantry.testing import OpenAIServer

KEY = "sk-acme-0123456789"
LIMIT = 30.0  # seconds after which what does not happen fails its test
HTTP = pytest.mark.parametrize("http", ["httpx", "aiohttp"])


def wait_until(true: Callable[[], bool]) -> bool:
    """Look again until something is true; return whether it came true."""
    end = time.monotonic() + LIMIT
    while not true() and time.monotonic() < end:
        time.sleep(0.005)
    return true()


def traces() -> tuple[int, set[str]]:
    """Count the files that are open, and name the threads that run."""
    gc.collect()
    ours = {thread.name for thread in threading.enumerate() if "tenantry" in thread.name}
    return len(list(Path("/proc/self/fd").iterdir())), ours


@pytest.fixture
def server(openai_server: OpenAIServer) -> OpenAIServer:
    openai_server.allow(KEY)
    return openai_server


@pytest.fixture
def untouched(server: OpenAIServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ends when no file and no thread is left that the test has not found."""
    defaults = Refresher.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "idle_limit", 0.05)
    files, threads = traces()
    yield

    def clean() -> bool:
        now = traces()
        return now[0] <= files and now[1] <= threads

    assert wait_until(clean), f"{files} files and {threads} before, {traces()} after"


def opened(server: OpenAIServer, **said: Any) -> ClientRegistry:
    tenant = {"base_url": server.base_url, "api_key": SecretStr(KEY), "max_retries": 0, **said}
    return ClientRegistry.open({"tenants": {"acme": tenant}}, environ={})


async def ask(client: AsyncOpenAI, times: int = 3) -> None:
    await asyncio.gather(*(client.models.list() for _ in range(times)))


# -- loops ----------------------------------------------------------------------------------------


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


# -- eviction -------------------------------------------------------------------------------------


def stream(client: Any) -> Any:
    messages = [{"role": "user", "content": "hi"}]
    return client.chat.completions.create(model="m", messages=messages, stream=True)


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


# -- forks ----------------------------------------------------------------------------------------


def fork(work: Callable[[], object]) -> int:
    """Have `work` done in a child, whose exit code says whether it succeeded; return its id."""
    with warnings.catch_warnings():
        # Python 3.12 warns of forks beside threads: what happens then is tested here.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:  # pragma: no cover  # runs in the child
        with contextlib.suppress(BaseException):
            work()
            os._exit(0)
        os._exit(1)
    return child


def joined(children: list[int]) -> list[int]:
    """Wait for children, and return their exit codes."""
    codes: dict[int, int] = {}

    def all_ended() -> bool:
        for child in set(children) - set(codes):
            found, status = os.waitpid(child, os.WNOHANG)
            if found:
                codes[child] = os.waitstatus_to_exitcode(status)
        return len(codes) == len(children)

    if not wait_until(all_ended):
        for child in set(children) - set(codes):
            os.kill(child, 9)
            os.waitpid(child, 0)
            codes[child] = -9
    return [codes[child] for child in children]


class Both:
    """A sync and an async client that somebody holds, and what is done with them."""

    def __init__(self, registry: ClientRegistry) -> None:
        self.client: OpenAI = registry.client("acme")
        self.aclient: AsyncOpenAI = registry.async_client("acme")

    def use(self) -> None:
        for _ in range(2):
            self.client.models.list()
            asyncio.run(ask(self.aclient, 2))


@HTTP
@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("children", [3, pytest.param(20, marks=pytest.mark.stress)])
def test_children_before_beside_and_after_traffic(
    server: OpenAIServer, http: str, children: int
) -> None:
    """Several at a time use clients that their parent holds: no request fails anywhere."""
    with opened(server, http=http) as registry:
        both, stop = Both(registry), threading.Event()
        before = [fork(both.use) for _ in range(children)]
        both.use()

        def traffic() -> int:
            rounds = 0
            while not stop.is_set():
                both.use()
                rounds += 1
            return rounds

        with ThreadPoolExecutor(2) as threads:
            running = [threads.submit(traffic) for _ in range(2)]
            beside = [fork(both.use) for _ in range(children)]
            codes = joined([*before, *beside])
            stop.set()
            rounds = sum(each.result(LIMIT) for each in running)
        after = [fork(both.use) for _ in range(children)]
        both.use()
        assert [0] * 3 * children == [*codes, *joined(after)]
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

        children = [fork(work) for _ in range(2)]
        under_way = asyncio.create_task(ask(both.aclient, 6))
        assert [0, 0] == await asyncio.to_thread(joined, children)
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

            codes = joined([fork(work) for _ in range(3)])
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

        assert [0, 0] == joined([fork(work), fork(registry.close)])
        assert whole - 1 == len(list(chunks))
        both.use()
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
