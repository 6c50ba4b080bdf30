"""A registry on a server, who holds its clients, and what a test leaves behind."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
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


def stream(client: Any) -> Any:
    messages = [{"role": "user", "content": "hi"}]
    return client.chat.completions.create(model="m", messages=messages, stream=True)


class Both:
    """A sync and an async client that somebody holds, and what is done with them."""

    def __init__(self, registry: ClientRegistry) -> None:
        self.client: OpenAI = registry.client("acme")
        self.aclient: AsyncOpenAI = registry.async_client("acme")

    def use(self) -> None:
        for _ in range(2):
            self.client.models.list()
            asyncio.run(ask(self.aclient, 2))
