"""The SDK's own transport over aiohttp, as the connection pool of one event loop."""

from __future__ import annotations

import asyncio
import base64
import os
from functools import partial
from typing import TYPE_CHECKING, Any

import aiohttp
from multidict import CIMultiDict

from tenantry.clients.http import aiohttp_transport, httpx
from tenantry.clients.witness import looking

if TYPE_CHECKING:
    import ssl

PROXY_AUTHORIZATION = "Proxy-Authorization"
# Requests say all that is to be sent; aiohttp would add these where they do not.
UNSAID = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
LONGEST_HEADER = 65_536  # bytes; httpx takes longer ones, aiohttp by itself but 8 KiB

# Of the first that fits; None is rightly named already.
_NAMES: tuple[tuple[type[Exception], type[httpx.TransportError] | None], ...] = (
    (aiohttp.ClientHttpProxyError, httpx.ProxyError),
    (aiohttp.ClientResponseError, httpx.RemoteProtocolError),
    (aiohttp.ServerDisconnectedError, httpx.RemoteProtocolError),
    (aiohttp.ServerTimeoutError, None),
    (aiohttp.ClientProxyConnectionError, httpx.ProxyError),
    (aiohttp.ClientConnectorError, httpx.ConnectError),
    (aiohttp.ClientConnectionError, httpx.ReadError),
)


class AiohttpPool(httpx.AsyncBaseTransport):
    """Connections over aiohttp; lives on the event loop of its first request.

    Errors are those that httpx would raise, and do not hold the request: aiohttp's own show every
    header of it, the key among them.
    """

    def __init__(
        self, context: ssl.SSLContext, limits: httpx.Limits, proxy: httpx.Proxy | None
    ) -> None:
        self._sdks: Any = aiohttp_transport()(
            verify=context, trust_env=False, client=partial(_session, context, limits, proxy)
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if isinstance(request.stream, httpx.ByteStream):
            request.read()  # else aiohttp sends a redirected request in chunks, an empty one too
        try:
            response: httpx.Response = await self._sdks.handle_async_request(request)
        except (aiohttp.ClientResponseError, httpx.TransportError) as error:
            failure = _as_httpx(error)
        else:
            return response
        raise failure  # out here, where no other error is its context

    async def aclose(self) -> None:
        connector = getattr(self._sdks.client, "connector", None)
        # Private, and pinned by tests: who reads from a closed connection would wait for ever.
        for protocol in list(getattr(connector, "_acquired", ())):
            if protocol.transport is not None:
                protocol.transport.abort()
        await asyncio.sleep(0)
        await self._sdks.aclose()


def _as_httpx(error: Exception) -> Exception:
    """Return what httpx would have raised; the SDK's transport calls most of it a time-out."""
    cause = error if isinstance(error, aiohttp.ClientError) else error.__cause__
    named = next((ours for theirs, ours in _NAMES if isinstance(cause, theirs)), None)
    # A new one in any case: the frames of aiohttp hold the headers that it sends.
    return type(error)(str(error)) if named is None else named(_words(cause))


def _words(cause: object) -> str:
    if isinstance(cause, aiohttp.ClientHttpProxyError):
        return f"{cause.status} {cause.message}"
    return str(getattr(cause, "message", cause))  # what else a response's error says is the URL


def _session(
    context: ssl.SSLContext, limits: httpx.Limits, proxy: httpx.Proxy | None
) -> aiohttp.ClientSession:
    """Return a session of the running loop that adds nothing to requests, and follows nothing."""
    return aiohttp.ClientSession(
        connector=_Connector(ssl=context, limit=limits.max_connections or 0, **_keepalive(limits)),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        skip_auto_headers=UNSAID,
        max_line_size=LONGEST_HEADER,
        max_field_size=LONGEST_HEADER,
        proxy=None if proxy is None else str(proxy.url),
        middlewares=() if proxy is None or proxy.raw_auth is None else (_login(proxy.raw_auth),),
    )


def _keepalive(limits: httpx.Limits) -> dict[str, Any]:
    """Return how long sockets are kept; how many cannot be said of aiohttp, but for none."""
    if 0 in (limits.keepalive_expiry, limits.max_keepalive_connections):
        return {"force_close": True}
    return {"keepalive_timeout": limits.keepalive_expiry}


def _login(auth: tuple[bytes, bytes]) -> aiohttp.ClientMiddlewareType:
    """Return what logs in to the proxy: in CONNECT, or in each request that is not https."""
    value = "Basic " + base64.b64encode(b":".join(auth)).decode()

    async def log_in(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if request.is_ssl():
            request.proxy_headers = CIMultiDict({PROXY_AUTHORIZATION: value})
        else:
            request.headers[PROXY_AUTHORIZATION] = value
        return await handler(request)

    return log_in


class _Connector(aiohttp.TCPConnector):
    """A connector that goes in silence where nobody could close its sockets.

    In a forked child they are the parent's, and once their loop is closed it is too late.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._process = os.getpid()
        self._made_on = asyncio.get_running_loop()

    @property
    def closed(self) -> bool:
        return super().closed or self._made_on.is_closed() or self._process != os.getpid()

    async def connect(self, *args: Any, **options: Any) -> aiohttp.connector.Connection:
        connection = await super().connect(*args, **options)
        if (witness := looking.get()) is not None:
            witness.connected()
            looking.set(None)
        return connection

    def __del__(self, _warnings: object = None) -> None:
        """Do nothing: aiohttp would take sockets off an event loop that the parent still uses."""
