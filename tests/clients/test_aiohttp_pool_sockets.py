"""Sockets over aiohttp are as many as are said, and go in silence where nobody can close them."""

from __future__ import annotations

import asyncio
import gc
import logging
import warnings
from typing import TYPE_CHECKING, Any

import pytest
from tests.forking import in_child

from tenantry.clients.aiohttp_pool import AiohttpPool
from tenantry.clients.http import httpx, limits, ssl_context
from tenantry.settings import PoolSettings, TlsSettings

if TYPE_CHECKING:
    from tenantry.testing import OpenAIServer

KEY = "sk-acme-0123456789"


def pool(**said: Any) -> AiohttpPool:
    return AiohttpPool(ssl_context(TlsSettings()), limits(PoolSettings(**said)), None)


async def got(used: AiohttpPool, server: OpenAIServer) -> None:
    headers = {"Authorization": f"Bearer {KEY}"}
    url = f"{server.base_url}/models"
    async with httpx.AsyncClient(transport=_Kept(used), trust_env=False) as client:
        (await client.get(url, headers=headers)).raise_for_status()


class _Kept(httpx.AsyncBaseTransport):
    """Lets a client end, and the pool below it live."""

    def __init__(self, used: AiohttpPool) -> None:
        self._used = used

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await self._used.handle_async_request(request)


async def test_nothing_is_added_to_a_request(server: OpenAIServer) -> None:
    """What a request does not say is not sent: aiohttp would put in a type, and say who it is."""
    used = pool()
    async with httpx.AsyncClient(transport=used, trust_env=False) as client:
        request = client.build_request("POST", f"{server.base_url}/files", content=b"bytes")
        for name in ("Accept", "Accept-Encoding", "User-Agent"):
            del request.headers[name]
        await client.send(request)
    sent = [name for name, _ in server.requests[-1].headers]
    assert {"host", "connection", "content-length"} == set(sent)


@pytest.mark.parametrize(
    ("said", "sockets"),
    [
        ({}, 1),
        ({"max_connections": None, "keepalive_expiry": None}, 1),
        ({"keepalive_expiry": 0}, 3),
        ({"max_keepalive_connections": 0}, 3),
    ],
)
async def test_how_long_sockets_are_kept(
    server: OpenAIServer, said: dict[str, Any], sockets: int
) -> None:
    """Idle sockets are used again, unless none are to be kept."""
    used = pool(**said)
    for _ in range(3):
        await got(used, server)
    await used.aclose()
    assert sockets == server.connections


@pytest.mark.parametrize(
    ("said", "limit"), [({"max_connections": 7}, 7), ({"max_connections": None}, 0)]
)
async def test_how_many_sockets_there_are(
    server: OpenAIServer, said: dict[str, Any], limit: int
) -> None:
    """`max_connections` is the connector's limit; none is none, and not aiohttp's own 100."""
    used: Any = pool(**said)
    await got(used, server)
    assert limit == used._sdks.client.connector.limit
    await used.aclose()


async def test_a_pool_that_was_never_used_closes(server: OpenAIServer) -> None:
    """Closing what has opened nothing, or was closed before, is harmless."""
    unused, used = pool(), pool()
    await got(used, server)
    for each in (unused, used, used):
        await each.aclose()


class Complaints(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record.getMessage())


def unclosed(said: list[str]) -> list[str]:
    return [each for each in said if "client session" in each or "connector" in each]


def test_a_loop_that_was_closed_leaves_no_complaint(server: OpenAIServer) -> None:
    """A pool whose loop was closed before it goes in silence: it is too late to close."""
    handler = Complaints()
    logging.getLogger("asyncio").addHandler(handler)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loop = asyncio.new_event_loop()
        used = pool()
        loop.run_until_complete(got(used, server))
        loop.close()
        del used
        gc.collect()
    logging.getLogger("asyncio").removeHandler(handler)
    assert [] == unclosed([*handler.heard, *(str(each.message) for each in caught)])


def test_a_forked_child_leaves_the_parents_sockets_alone(server: OpenAIServer) -> None:
    """In a child the parent's pool goes in silence, and the parent's socket goes on working."""
    loop = asyncio.new_event_loop()
    used = [pool()]
    loop.run_until_complete(got(used[0], server))

    def dropped() -> list[str]:
        handler = Complaints()
        logging.getLogger("asyncio").addHandler(handler)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            used.clear()
            gc.collect()
        return unclosed([*handler.heard, *(str(each.message) for each in caught)])

    assert [] == in_child(dropped)
    loop.run_until_complete(got(used[0], server))
    loop.run_until_complete(used[0].aclose())
    loop.close()
    assert (2, 1) == (server.count(status=200), server.connections)
