"""Ways to ask for a chat completion, each as an async function that asks once.

A way is set up in a process of its own, and imports no more than it needs: one of them runs where
tenantry is not installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tenantry import ClientRegistry

Ask: TypeAlias = "Callable[[], Awaitable[object]]"

TENANTS = 1_000  # and as many deployments; one of them is asked
TENANT = "tenant-500"
MODEL = "gpt-benchmark"
MESSAGES: Any = [{"role": "user", "content": "Say hello."}]
KEY = "sk-benchmark"


def opened(base_url: str, http: str, tenants: int = TENANTS) -> ClientRegistry:
    """Open a registry of many tenants, who differ in their keys."""
    from tenantry import ClientRegistry

    return ClientRegistry.open(
        {
            "defaults": {"base_url": base_url, "http": http},
            "tenants": {f"tenant-{n}": {"api_key": {"env": f"KEY_{n}"}} for n in range(tenants)},
        },
        environ={f"KEY_{n}": f"{KEY}-{n}" for n in range(tenants)},
    )


@contextlib.asynccontextmanager
async def bare(base_url: str) -> AsyncIterator[Ask]:
    """The SDK's own client, with a key that never changes."""
    from openai import AsyncOpenAI

    async with AsyncOpenAI(api_key=KEY, base_url=base_url) as client:
        yield lambda: client.chat.completions.create(model=MODEL, messages=MESSAGES)


@contextlib.asynccontextmanager
async def bare_aiohttp(base_url: str) -> AsyncIterator[Ask]:
    """The SDK's own client, as its documentation has it use aiohttp."""
    from openai import AsyncOpenAI, DefaultAioHttpClient

    http = DefaultAioHttpClient()
    async with AsyncOpenAI(api_key=KEY, base_url=base_url, http_client=http) as client:
        yield lambda: client.chat.completions.create(model=MODEL, messages=MESSAGES)


@contextlib.asynccontextmanager
async def _ours(base_url: str, http: str) -> AsyncIterator[Ask]:
    async with opened(base_url, http) as registry:
        # A client is asked for each time, as services do.
        yield lambda: registry.async_client(TENANT).chat.completions.create(
            model=MODEL, messages=MESSAGES
        )


def ours_httpx(base_url: str) -> contextlib.AbstractAsyncContextManager[Ask]:
    return _ours(base_url, "httpx")


def ours_aiohttp(base_url: str) -> contextlib.AbstractAsyncContextManager[Ask]:
    return _ours(base_url, "aiohttp")


@contextlib.asynccontextmanager
async def litellm_router(base_url: str) -> AsyncIterator[Ask]:
    """litellm's Router as it is by default, with a deployment for each tenant."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks the network at import
    import litellm  # in an environment of its own

    logging.disable()
    litellm.suppress_debug_info = True
    router = litellm.Router(
        model_list=[
            {
                "model_name": f"tenant-{n}",
                "litellm_params": {
                    "model": f"openai/{MODEL}",
                    "api_base": base_url,
                    "api_key": f"{KEY}-{n}",
                },
            }
            for n in range(TENANTS)
        ]
    )
    yield lambda: router.acompletion(model=TENANT, messages=MESSAGES)


BODY = json.dumps({"messages": MESSAGES, "model": MODEL}).encode()
REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\n"
    b"authorization: Bearer sk-benchmark\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(BODY), BODY)
)


@contextlib.asynccontextmanager
async def raw(base_url: str) -> AsyncIterator[Ask]:
    """Sockets and nothing else: what no client can be faster than."""
    host, _, port = base_url.removesuffix("/v1").removeprefix("http://").partition(":")
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask() -> None:
        reader, writer = idle.pop() if idle else await asyncio.open_connection(host, int(port))
        writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.partition(b"content-length: ")[2]))
        idle.append((reader, writer))

    yield ask
    for _, writer in idle:
        writer.close()


WAYS = {
    "bare SDK": bare,
    "bare SDK on aiohttp": bare_aiohttp,
    "tenantry on httpx": ours_httpx,
    "tenantry on aiohttp": ours_aiohttp,
    "litellm Router": litellm_router,
    "raw sockets": raw,
}
