"""A pool of an event loop is closed on its loop, whoever asks and however the loop ends."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest
from tests.clients.pools.conftest import LIMITS, Transport

from tenantry.clients import pools
from tenantry.clients.pools import LoopPool

if TYPE_CHECKING:
    from tenantry.clients.sockets import Sockets


class Slow(Transport):
    """Needs some turns of the loop to close, as one with several sockets does."""

    def __init__(self, turns: int = 5) -> None:
        super().__init__()
        self.turns = turns
        self.running = 0

    async def aclose(self) -> None:
        self.running += 1
        assert 1 == self.running
        for _ in range(self.turns):
            await asyncio.sleep(0)
        self.close()
        self.running -= 1


async def loop_pool(transport: Transport, sockets: Sockets) -> LoopPool:
    pool = LoopPool(transport, (), LIMITS, sockets, lambda _: None)
    await pool.open()
    return pool


async def test_a_pool_of_a_loop_closes_on_it(sockets: Sockets) -> None:
    """`close` starts it from any thread, and `aclose` waits for what was started."""
    transport = Slow()
    pool = await loop_pool(transport, sockets)
    await asyncio.to_thread(pool.close)
    await pool.aclose()
    assert transport.closed
    assert pool not in pools._closing


async def test_what_is_closed_asks_nothing_more_of_its_loop(sockets: Sockets) -> None:
    """Who lets go of it later starts no task, which a loop in its last turns would not run."""
    transport = Transport()
    pool = await loop_pool(transport, sockets)
    for closed in (1, 1, 2):
        if closed > transport.closed > 0:
            pool.enter("user")
            pool.leave("user")
        pool.close()
        for _ in range(5):
            await asyncio.sleep(0)
        assert closed == transport.closed


async def test_closing_from_all_sides_happens_one_by_one(
    sockets: Sockets, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever closes beside another waits with it, and no task ends with an error."""
    transport = Slow()
    pool = await loop_pool(transport, sockets)
    pool.close()
    pool.retire()
    await asyncio.gather(pool.aclose(), pool.aclose())
    assert transport.closed
    del pool
    gc.collect()
    assert [] == caplog.messages


async def test_who_gives_up_waiting_does_not_end_the_closing(sockets: Sockets) -> None:
    """A cancelled `aclose` leaves nothing half closed."""
    transport = Slow(turns=20)
    pool = await loop_pool(transport, sockets)
    waiting = asyncio.create_task(pool.aclose())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert 0 == transport.closed
    await pool.aclose()
    assert transport.closed


@pytest.mark.parametrize("turns", range(12))
def test_a_loop_that_ends_anywhere_closes_its_pool(sockets: Sockets, turns: int) -> None:
    """However far the closing has come when `asyncio.run` cancels all that runs."""
    transport = Slow()

    async def main(*, retired: bool) -> LoopPool:
        pool = await loop_pool(transport, sockets)
        if retired:
            pool.retire()
        for _ in range(turns):
            await asyncio.sleep(0)
        return pool

    for retired in (True, False):
        transport.closed = 0
        pool = asyncio.run(main(retired=retired))
        assert transport.closed
        assert pool.abandoned
        assert pool not in pools._closing


async def test_what_cannot_be_awaited_to_the_end_is_cancelled() -> None:
    """A closing that waits for something that was cancelled itself ends with that."""

    async def closing() -> None:
        await asyncio.get_running_loop().create_future()

    async def close() -> None:
        await pools.to_the_end(closing())

    task = asyncio.create_task(close())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_pool_of_a_closed_loop_has_nothing_to_close(sockets: Sockets) -> None:
    """Its loop has closed it; asking again, from anywhere, is harmless."""
    transport = Transport()
    pool = asyncio.run(loop_pool(transport, sockets))
    pool.retire()
    pool.close()
    assert 1 == transport.closed
