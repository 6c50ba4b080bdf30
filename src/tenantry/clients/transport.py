"""A tenant's http clients, and the connection pools under them: per process, and event loop.

A client that somebody holds works in whatever loop or child process it is used: the pool is picked
at each request. Each hop, redirects included, passes the gate's boundary check before it is sent.
"""

from __future__ import annotations

import asyncio
import threading
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING

from tenantry.clients import filling
from tenantry.clients.errors import in_request
from tenantry.clients.gate import IN_FLIGHT
from tenantry.clients.http import BaseAsyncClient, BaseClient, httpx
from tenantry.clients.pools import AsyncCountedStream, CountedStream, LoopPool, OpenPool, ThreadPool
from tenantry.clients.witness import EXTENSION
from tenantry.context import become
from tenantry.errors import CredentialUnavailableError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from tenantry.clients.connection import Connection
    from tenantry.clients.gate import Gate
    from tenantry.clients.sockets import Sockets
    from tenantry.secret import Secret


class _NoCookies(CookieJar):
    """Keeps nothing, so that all tenants can share it.

    A cookie that one request brought would go along with every later one.
    """

    def extract_cookies(self, response: object, request: object) -> None:
        """Keep nothing."""

    def add_cookie_header(self, request: object) -> None:
        """Add nothing."""

    def set_cookie(self, cookie: object) -> None:
        """Keep nothing."""


_NO_COOKIES = _NoCookies()
_NO_BASE_URL = httpx.URL("/")  # the SDK's requests have whole addresses


class SealedHttpClient(BaseClient):
    """The http client under every sync SDK client of one tenant, clones included.

    `close()` closes nothing, because clones share it: only the registry may close `connections`.
    It keeps its `endpoint` alive: who can send can be shut.
    """

    endpoint: object = None

    def __init__(self, gate: Gate, transport: SyncTransport) -> None:
        super().__init__(
            auth=gate,
            transport=transport,
            base_url=_NO_BASE_URL,
            cookies=_NO_COOKIES,
            trust_env=False,
        )
        self.gate = gate
        self.connections = transport

    def close(self) -> None:
        """Do nothing: other clones go on using the connections."""

    def __del__(self) -> None:
        _retire(self)


class AsyncSealedHttpClient(BaseAsyncClient):
    """The http client under every async SDK client of one tenant; see `SealedHttpClient`."""

    endpoint: object = None

    def __init__(self, gate: Gate, transport: AsyncTransport) -> None:
        super().__init__(
            auth=gate,
            transport=transport,
            base_url=_NO_BASE_URL,
            cookies=_NO_COOKIES,
            trust_env=False,
        )
        self.gate = gate
        self.connections = transport

    async def aclose(self) -> None:
        """Do nothing: other clones go on using the connections."""

    def __del__(self) -> None:
        _retire(self)


def _retire(http: SealedHttpClient | AsyncSealedHttpClient) -> None:
    """Close the connections: nobody holds a client that could use them."""
    connections = getattr(http, "connections", None)
    if connections is not None:
        connections.retire()


class SyncTransport(httpx.BaseTransport):
    """What sends a tenant's requests from this process, through a pool that is made when needed."""

    def __init__(self, gate: Gate, connection: Connection, sockets: Sockets) -> None:
        self._gate = gate
        self.connection = connection
        self._sockets = sockets
        self._parked: tuple[ThreadPool, ...] = ()
        self._pool: ThreadPool | None = None
        self._retired: tuple[ThreadPool, ...] = ()  # and in use, or lately were
        # Guards _pool and _retired; a client that is collected in here may take it again.
        self._lock = threading.RLock()

    def after_fork(self) -> None:
        """Leave the parent's sockets alone: closing them here would end its conversations."""
        self._lock = threading.RLock()
        self._parked += (*self._known(),)
        self._pool, self._retired = None, ()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self._gate.check_hop(request)
        user = request.extensions.get(IN_FLIGHT) or object()
        pool = self._entered(user)
        if (witness := request.extensions.get(EXTENSION)) is not None:
            witness.sending(request)
        before = become(self._gate.tenant)  # whose spans and lines of log these are
        try:
            response = pool.transport.handle_request(filling.filled(request))
        except BaseException:
            pool.leave(user)
            raise
        finally:
            become(before)
        filling.hide(request, response)
        assert isinstance(response.stream, httpx.SyncByteStream)  # noqa: S101  # httpx does, too
        response.stream = CountedStream(response.stream, pool, user)
        return response

    def users(self) -> Iterator[object]:
        """Return what is in flight."""
        return (user for pool in self._known() for user in list(pool.users))

    def retire(self) -> None:
        """Close what is idle now, and the rest when it is done; later requests connect anew."""
        pool = self._pool
        if pool is not None:
            pool.retire()

    def dispose(self) -> None:
        """Close what is open in this process, in use or not."""
        for pool in self._known():
            pool.retire()
            pool.close()

    def _known(self) -> list[ThreadPool]:
        """Return all that may have users."""
        pool = self._pool  # first: it goes from here to there
        return [*([] if pool is None else [pool]), *self._retired]

    def _entered(self, user: object) -> ThreadPool:
        secrets = self.secrets() if self.connection.credentials else ()
        made_of = secrets, (files := self.connection.files())
        while True:
            pool = self._pool
            if pool is None or pool.made_of != made_of:
                pool = self._made(pool, secrets, files)
            pool.enter(user)
            if pool is self._pool:
                return pool
            pool.leave(user)  # it was retired meanwhile

    def secrets(self) -> tuple[Secret, ...]:
        """Return what `connection` needs before it opens a socket, in its order."""
        try:
            return tuple(credential.get() for credential in self.connection.credentials)
        except CredentialUnavailableError as error:
            raise in_request(error) from error.__cause__

    def _made(
        self, outdated: ThreadPool | None, secrets: tuple[Secret, ...], files: Hashable
    ) -> ThreadPool:
        if outdated is not None:
            outdated.retire()
        with self._lock:
            if self._pool is None:
                transport = self.connection.sync_pool(secrets)
                limits = self.connection.limits
                self._pool = ThreadPool(
                    transport, (secrets, files), limits, self._sockets, self._forget
                )
            return self._pool

    def _forget(self, pool: OpenPool) -> None:
        with self._lock:
            if self._pool is pool:
                self._retired = tuple(each for each in self._known() if each.users)
                self._pool = None


class AsyncTransport(httpx.AsyncBaseTransport):
    """What sends a tenant's requests from event loops, through a pool for each.

    A loop's pool is closed when the loop ends, at the latest.
    """

    def __init__(self, gate: Gate, connection: Connection, sockets: Sockets) -> None:
        self._gate = gate
        self.connection = connection
        self._sockets = sockets
        self._parked: tuple[LoopPool, ...] = ()
        self._pools: dict[asyncio.AbstractEventLoop, LoopPool] = {}
        self._retired: tuple[LoopPool, ...] = ()  # and in use, or lately were
        self._lock = threading.RLock()  # guards _pools and _retired

    def after_fork(self) -> None:
        """Leave the parent's sockets alone; see `SyncTransport`."""
        self._lock = threading.RLock()
        self._parked += (*self._known(),)
        self._pools, self._retired = {}, ()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._gate.check_hop(request)
        user = request.extensions.get(IN_FLIGHT) or object()
        pool = await self._entered(user)
        if (witness := request.extensions.get(EXTENSION)) is not None:
            witness.asending(request)
        before = become(self._gate.tenant)
        try:
            response = await pool.transport.handle_async_request(filling.filled(request))
        except BaseException:
            pool.leave(user)
            raise
        finally:
            become(before)
        filling.hide(request, response)
        assert isinstance(response.stream, httpx.AsyncByteStream)  # noqa: S101  # httpx does, too
        response.stream = AsyncCountedStream(response.stream, pool, user)
        return response

    def users(self) -> Iterator[object]:
        """Return what is in flight, on all loops."""
        pools = [pool for pool in self._known() if not pool.abandoned]
        return (user for pool in pools for user in list(pool.users))

    def retire(self) -> None:
        """Close what is idle now, and the rest when it is done; later requests connect anew."""
        for pool in list(self._pools.values()):
            pool.retire()

    def dispose(self) -> None:
        """Close every pool on its own loop, without waiting; those of closed loops are dropped."""
        for pool in self._known():
            pool.retire()
            pool.close()

    async def adispose(self) -> None:
        """Close the running loop's pools and wait for it; close the others without waiting."""
        loop = asyncio.get_running_loop()
        own = [pool for pool in self._known() if pool.loop is loop]
        self.dispose()
        for pool in own:
            await pool.aclose()

    def _known(self) -> list[LoopPool]:
        """Return all that may have users."""
        return [*list(self._pools.values()), *self._retired]

    async def _entered(self, user: object) -> LoopPool:
        secrets = await self.secrets() if self.connection.credentials else ()
        made_of = secrets, (files := self.connection.files())
        loop = asyncio.get_running_loop()
        while True:
            pool = self._pools.get(loop)
            if pool is None or pool.made_of != made_of:
                pool = await self._made(loop, pool, secrets, files)
            pool.enter(user)
            if self._pools.get(loop) is pool:
                return pool
            pool.leave(user)  # it was retired meanwhile

    async def secrets(self) -> tuple[Secret, ...]:
        try:
            return tuple([await credential.aget() for credential in self.connection.credentials])
        except CredentialUnavailableError as error:
            raise in_request(error) from error.__cause__

    async def _made(
        self,
        loop: asyncio.AbstractEventLoop,
        outdated: LoopPool | None,
        secrets: tuple[Secret, ...],
        files: Hashable,
    ) -> LoopPool:
        if outdated is not None:
            outdated.retire()
        self._drop_closed_loops()
        transport = self.connection.async_pool(secrets)
        limits = self.connection.limits
        pool = LoopPool(transport, (secrets, files), limits, self._sockets, self._forget)
        with self._lock:
            self._pools[loop] = pool
        await pool.open()
        return pool

    def _forget(self, pool: OpenPool) -> None:
        with self._lock:
            for loop, each in self._pools.copy().items():
                if each is pool:
                    kept = (*self._retired, each)
                    self._retired = tuple(one for one in kept if one.users and not one.abandoned)
                    self._pools.pop(loop, None)

    def _drop_closed_loops(self) -> None:
        for pool in list(self._pools.values()):
            if pool.abandoned:
                pool.retire()
