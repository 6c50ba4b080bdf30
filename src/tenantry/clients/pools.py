"""One connection pool: who is using it, and how it is closed under nobody's hands."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
import types
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from tenantry.clients.http import httpx

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Callable,
        Coroutine,
        Generator,
        Iterator,
    )


Stream = TypeVar("Stream")

clock = time.monotonic


class SocketCount(Protocol):
    """Who counts the sockets of all pools."""

    def grown(self, pool: OpenPool) -> None: ...
    def gone(self, pool: OpenPool) -> None: ...
    @property
    def crowded(self) -> bool: ...


class OpenPool:
    """A connection pool that has, or may have, open sockets.

    Who uses it enters with a token and leaves with the same. Once it is retired, nobody finds it
    any more, and the last who leaves closes it.
    """

    def __init__(
        self,
        made_of: object,
        limits: httpx.Limits,
        sockets: SocketCount,
        forget: Callable[[OpenPool], None],
    ) -> None:
        self.made_of = made_of  # the secrets and files that its sockets were opened with
        self.users: set[object] = set()
        self.left = clock()  # when somebody last left
        self._keepalive = limits.keepalive_expiry
        self._kept = limits.max_keepalive_connections
        self._peak = 0
        self._used = False  # since it was closed, if it was
        self._sockets = sockets
        self._forget = forget
        self._retired = False

    def settle(self) -> int:
        """Return how many sockets are open at most: in use, or kept of those once used at once."""
        kept = self._peak if self._kept is None else min(self._peak, self._kept)
        self._peak = max(len(self.users), kept)
        return self._peak

    def enter(self, user: object) -> None:
        self._used = True
        self.users.add(user)
        if len(self.users) > self._peak:
            self._sockets.grown(self)

    def leave(self, user: object) -> None:
        """Note that `user` is done; leaving twice is harmless."""
        self.users.discard(user)
        self.left = clock()
        if self.users:
            return
        if self._retired:
            self._sockets.gone(self)  # it is counted again if somebody slipped in, see `retire`
            self.close()
        elif self._sockets.crowded:
            self.retire()

    def retire(self) -> None:
        """Let nobody find the pool any more, and close it when the last user has left.

        Who enters looks afterwards whether the pool can still be found: whoever slips in between
        either is seen here, or goes and takes another pool.
        """
        self._forget(self)
        self._sockets.gone(self)
        self._retired = True
        if not self.users:
            self.close()

    def close(self) -> None:
        """Close all sockets, or see to it that they are; closing twice is harmless."""
        raise NotImplementedError

    @property
    def expires(self) -> float:
        """The instant at which idle sockets have been kept long enough."""
        return math.inf if self._keepalive is None else self.left + self._keepalive

    @property
    def abandoned(self) -> bool:
        """Whether nobody can use the pool any more, although it was not closed."""
        return False


class ThreadPool(OpenPool):
    """The pool of one tenant's sync clients in this process."""

    def __init__(
        self,
        transport: httpx.BaseTransport,
        made_of: object,
        limits: httpx.Limits,
        sockets: SocketCount,
        forget: Callable[[OpenPool], None],
    ) -> None:
        super().__init__(made_of, limits, sockets, forget)
        self.transport = transport

    def close(self) -> None:
        self.transport.close()


class LoopPool(OpenPool):
    """The pool of one tenant's async clients on one event loop, closed with the loop at the latest.

    asyncio ends every async generator before it closes a loop; one of them guards the pool.
    """

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        made_of: object,
        limits: httpx.Limits,
        sockets: SocketCount,
        forget: Callable[[OpenPool], None],
    ) -> None:
        super().__init__(made_of, limits, sockets, forget)
        self.transport = transport
        self.loop = asyncio.get_running_loop()
        self._guard = self._until_closed()
        self._guarded = True
        self._ended = False  # with its loop
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Put up the guard; before the first use."""
        await anext(self._guard)

    @property
    def abandoned(self) -> bool:
        return self.loop.is_closed()

    def close(self) -> None:
        """Start to close on the pool's own loop, without waiting."""
        # A loop that has ended has closed its pool itself.
        with contextlib.suppress(RuntimeError):
            self.loop.call_soon_threadsafe(self._close_unless_ended)

    async def aclose(self) -> None:
        """Close and wait for it; runs on the pool's own loop."""
        await asyncio.shield(self._close_soon())

    def _close_unless_ended(self) -> None:
        # A task that a loop gets in its last turns would never run: none for what is closed.
        if not self._ended and (self._guarded or self._used):
            self._close_soon()

    def _close_soon(self) -> asyncio.Task[None]:
        if self._task is None or self._task.done():
            if self._guarded:
                _closing.add(self)
            self._task = asyncio.get_running_loop().create_task(self._close_all())
        return self._task

    async def _close_all(self) -> None:
        self._used = False
        await to_the_end(self.transport.aclose())
        if self._guarded:
            self._guarded = False
            _closing.discard(self)
            await self._guard.aclose()

    async def _until_closed(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            if self._guarded:  # the loop ends, and waits for this alone
                self._guarded, self._ended = False, True
                _closing.discard(self)
                await to_the_end(self._rest())

    async def _rest(self) -> None:
        """Close what is open, or wait for the task that does."""
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task])
        await self.transport.aclose()


# Those whose closing is on its way: a loop that ends before it began leaves it to the guard.
_closing: set[LoopPool] = set()


@types.coroutine
def to_the_end(closing: Coroutine[Any, Any, None]) -> Generator[Any, None, None]:
    """Await something that a cancellation must not end: sockets would stay open half-way.

    A loop that ends cancels whatever runs, and what `asyncio.shield` protects as well.
    """
    cancelled: BaseException | None = None
    while True:
        try:
            step = closing.send(None)
        except StopIteration:
            break
        try:
            yield step
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled


class _Stay(Generic[Stream]):
    """One user's stay in a pool: over once its body is closed, or collected."""

    def __init__(self, stream: Stream, pool: OpenPool, user: object) -> None:
        self._stream = stream
        self._pool: OpenPool | None = pool
        self._user = user

    def _leave(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.leave(self._user)

    def __del__(self) -> None:
        pool = self._pool
        if pool is not None:
            pool.retire()  # which alone closes the socket of a body that nobody closed
            self._leave()


class CountedStream(_Stay[httpx.SyncByteStream], httpx.SyncByteStream):
    """A response's body: who reads it uses the pool until it is closed, or collected."""

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._leave()


class AsyncCountedStream(_Stay[httpx.AsyncByteStream], httpx.AsyncByteStream):
    """What `CountedStream` is, for async clients."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._leave()
