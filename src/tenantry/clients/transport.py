"""A tenant's http clients, and the connection pools under them: per process, and event loop.

A client that somebody holds works in whatever loop or child process it is used: the pool is picked
at each request. Each hop, redirects included, passes the gate's boundary check before it is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING

from tenantry.clients.http import BaseAsyncClient, BaseClient, httpx
from tenantry.forks import survives_fork

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Callable

    from tenantry.clients.gate import Gate

    SyncPool = Callable[[], httpx.HTTPTransport]
    AsyncPool = Callable[[], httpx.AsyncHTTPTransport]


def sync_pool(context: ssl.SSLContext, limits: httpx.Limits, proxy: str | None) -> SyncPool:
    """Return what makes a pool for sync clients."""
    return lambda: httpx.HTTPTransport(verify=context, limits=limits, proxy=proxy, trust_env=False)


def async_pool(context: ssl.SSLContext, limits: httpx.Limits, proxy: str | None) -> AsyncPool:
    """Return what makes a pool for async clients."""
    return lambda: httpx.AsyncHTTPTransport(
        verify=context, limits=limits, proxy=proxy, trust_env=False
    )


class SealedHttpClient(BaseClient):
    """The http client under every sync SDK client of one tenant, clones included.

    `close()` closes nothing, because clones share it: only the registry may `dispose()` of it.
    """

    def __init__(self, gate: Gate, transport: SyncTransport) -> None:
        super().__init__(auth=gate, transport=transport, cookies=_no_cookies(), trust_env=False)
        self.gate = gate
        self._pools = transport
        _dispose_when_unused(self, transport)

    def close(self) -> None:
        """Do nothing: other clones go on using the connections."""

    def dispose(self) -> None:
        """Close the connections."""
        self._pools.dispose()


class AsyncSealedHttpClient(BaseAsyncClient):
    """The http client under every async SDK client of one tenant; see `SealedHttpClient`."""

    def __init__(self, gate: Gate, transport: AsyncTransport) -> None:
        super().__init__(auth=gate, transport=transport, cookies=_no_cookies(), trust_env=False)
        self.gate = gate
        self._pools = transport
        _dispose_when_unused(self, transport)

    async def aclose(self) -> None:
        """Do nothing: other clones go on using the connections."""

    def dispose(self) -> None:
        """Close the connections, each on its own loop; does not wait."""
        self._pools.dispose()

    async def adispose(self) -> None:
        """Close the connections of the running loop, and those of others without waiting."""
        await self._pools.adispose()


def _dispose_when_unused(http: object, transport: SyncTransport | AsyncTransport) -> None:
    """Close the connections once nobody holds a client that could use them."""
    weakref.finalize(http, transport.dispose).atexit = False


def _no_cookies() -> CookieJar:
    # A cookie that one request brought would go along with every later one.
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


class SyncTransport(httpx.BaseTransport):
    """The pool of one tenant's sync clients in this process."""

    def __init__(self, gate: Gate, make: SyncPool) -> None:
        self._gate = gate
        self._make = make
        self._parked: list[httpx.HTTPTransport] = []
        self._pool: httpx.HTTPTransport | None = None
        self._lock = threading.Lock()  # guards the making of _pool
        survives_fork(self)

    def after_fork(self) -> None:
        """Leave the parent's sockets alone: closing them here would end its conversations."""
        self._lock = threading.Lock()
        if self._pool is not None:
            self._parked.append(self._pool)
            self._pool = None

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._gate.check_hop(request)
        pool = self._pool
        if pool is None:
            with self._lock:
                pool = self._pool = self._pool or self._make()
        return pool.handle_request(request)

    def dispose(self) -> None:
        """Close what is open in this process."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()


class AsyncTransport(httpx.AsyncBaseTransport):
    """The pools of one tenant's async clients, one per running event loop.

    A loop's pool is closed when the loop ends, at the latest.
    """

    def __init__(self, gate: Gate, make: AsyncPool) -> None:
        self._gate = gate
        self._make = make
        self._parked: list[object] = []
        self._pools: dict[asyncio.AbstractEventLoop, _LoopPool] = {}
        survives_fork(self)

    def after_fork(self) -> None:
        """Leave the parent's sockets alone; see `SyncTransport`."""
        self._parked.append(self._pools)
        self._pools = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._gate.check_hop(request)
        loop = asyncio.get_running_loop()
        held = self._pools.get(loop)
        if held is None:
            self._drop_closed_loops()
            held = self._pools[loop] = _LoopPool(self._make())
            await held.open()
        return await held.pool.handle_async_request(request)

    def dispose(self) -> None:
        """Close every pool on its own loop, without waiting; those of closed loops are dropped."""
        pools, self._pools = self._pools, {}
        for loop, held in pools.items():
            # A loop that has ended has closed its pool itself.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(held.close_soon)

    async def adispose(self) -> None:
        """Close the running loop's pool and wait for it; close the others without waiting."""
        held = self._pools.pop(asyncio.get_running_loop(), None)
        self.dispose()
        if held is not None:
            await held.close()

    def _drop_closed_loops(self) -> None:
        for loop in list(self._pools):
            if loop.is_closed():
                self._pools.pop(loop, None)


class _LoopPool:
    """The connections of one event loop, closed by `close` or by the end of the loop.

    asyncio ends every async generator before it closes a loop; one of them guards the pool.
    """

    def __init__(self, pool: httpx.AsyncHTTPTransport) -> None:
        self.pool = pool
        self._guard = self._until_closed()

    async def open(self) -> None:
        await anext(self._guard)

    async def close(self) -> None:
        await self._guard.aclose()

    def close_soon(self) -> None:
        """Start to close; runs on the loop."""
        _closing.add(self)
        self._task = asyncio.ensure_future(self.close())

    async def _until_closed(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            _closing.discard(self)
            await self.pool.aclose()


# Those whose closing is on its way: a loop that ends meanwhile cancels the task, not the guard.
_closing: set[_LoopPool] = set()
