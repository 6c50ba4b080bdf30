"""A registry on a server, the transport below its clients, and what both kinds are asked."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from tenantry import ClientRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openai import AsyncOpenAI

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
    return client._client.connections


async def in_parallel(client: AsyncOpenAI, count: int) -> None:
    await asyncio.gather(*(client.models.list() for _ in range(count)))


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
