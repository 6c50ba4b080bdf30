"""The body of an answer uses its pool until it is closed, fails to close, or is collected."""

from __future__ import annotations

import gc
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.clients.pools.conftest import LIMIT, LIMITS, Transport

from tenantry.clients.http import httpx
from tenantry.clients.pools import AsyncCountedStream, CountedStream, ThreadPool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tenantry.clients.pools import OpenPool
    from tenantry.clients.sockets import Sockets


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken

    def __iter__(self) -> Iterator[bytes]:
        yield b"data"

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"data"

    def close(self) -> None:
        if self.broken:
            raise OSError("broken")

    async def aclose(self) -> None:
        self.close()


def test_a_body_that_is_closed_twice_leaves_once(pool: ThreadPool) -> None:
    """The second `close` does not end the stay of somebody with the same token."""
    pool.enter("user")
    body = CountedStream(Body(), pool, "user")
    assert [b"data"] == list(body)
    body.close()
    pool.enter("user")  # a redirect goes on with the token of its request
    body.close()
    del body
    assert {"user"} == pool.users


async def test_an_async_body_that_is_closed_twice_leaves_once(pool: ThreadPool) -> None:
    """As for sync ones."""
    pool.enter("user")
    body = AsyncCountedStream(Body(), pool, "user")
    assert [b"data"] == [chunk async for chunk in body]
    await body.aclose()
    pool.enter("user")
    await body.aclose()
    del body
    assert {"user"} == pool.users


async def test_a_body_whose_closing_fails_is_over(pool: ThreadPool) -> None:
    """The failure reaches who closes, and the pool has no user any more."""
    for user in ("sync", "async"):
        pool.enter(user)
    with pytest.raises(OSError, match="broken"):
        CountedStream(Body(broken=True), pool, "sync").close()
    with pytest.raises(OSError, match="broken"):
        await AsyncCountedStream(Body(broken=True), pool, "async").aclose()
    assert set() == pool.users


@pytest.mark.parametrize("kind", [CountedStream, AsyncCountedStream])
def test_a_body_that_nobody_closes_is_over_when_it_is_collected(
    kind: Any, pool: ThreadPool, transport: Transport, found: set[OpenPool]
) -> None:
    """And so is its pool: only closing all closes a socket that is stuck in mid-body."""
    pool.enter("user")
    pool.enter("other")
    body = kind(Body(), pool, "user")
    del body
    gc.collect()
    assert ({"other"}, set(), 0) == (pool.users, found, transport.closed)
    pool.leave("other")
    assert 1 == transport.closed


def test_collecting_inside_a_count_does_not_hang(
    pool: ThreadPool, sockets: Sockets, transport: Transport
) -> None:
    """The garbage collector may run anywhere, and may retire a pool while sockets are counted."""
    pool.enter("user")
    abandoned = [CountedStream(Body(), pool, "user")]

    class Collects(ThreadPool):
        def settle(self) -> int:
            abandoned.clear()
            return super().settle()

    other = Collects(Transport(), (), LIMITS, sockets, lambda _: None)
    entering = threading.Thread(target=other.enter, args=("user",), daemon=True)
    entering.start()
    entering.join(LIMIT)
    assert not entering.is_alive(), "it waits for itself"
    assert (1, 1) == (transport.closed, len(sockets))
