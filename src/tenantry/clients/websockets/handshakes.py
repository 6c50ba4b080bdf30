"""The handshakes of sealed WebSockets: requests that pass the gate, and the answers to them.

Everything here stands on the `websockets` package and is imported when a WebSocket is opened.
"""

from __future__ import annotations

import contextlib
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import ClientConnection as AsyncClientConnection
from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Request
from websockets.sync.client import ClientConnection

from tenantry.clients.filling import filled
from tenantry.clients.http import httpx

if TYPE_CHECKING:
    from collections.abc import Generator

    from websockets.datastructures import HeadersLike
    from websockets.uri import WebSocketURI

    from tenantry.clients.gate import Gate
    from tenantry.clients.websockets.seal import Seal

ACCEPTED = 200  # what the gate is told of a handshake that succeeded


class Passage:
    """One handshake on its way through the gate; `request` is what to send, stamped."""

    def __init__(self, gate: Gate, request: httpx.Request) -> None:
        self._flow = gate.sync_auth_flow(request)
        self.request = next(self._flow)

    def answered(self, status: int) -> bool:
        """Tell the gate the answer; return whether there is another `request` to send."""
        try:
            self.request = self._flow.send(httpx.Response(status, request=self.request))
        except StopIteration:
            return False
        return True

    def close(self) -> None:
        self._flow.close()


class AsyncPassage:
    """What `Passage` is, for async clients; made by `enter`."""

    request: httpx.Request

    def __init__(self, gate: Gate, request: httpx.Request) -> None:
        self._flow = gate.async_auth_flow(request)

    async def enter(self) -> AsyncPassage:
        self.request = await anext(self._flow)
        return self

    async def answered(self, status: int) -> bool:
        """Do what `Passage.answered` does."""
        try:
            self.request = await self._flow.asend(httpx.Response(status, request=self.request))
        except StopAsyncIteration:
            return False
        return True

    async def close(self) -> None:
        await self._flow.aclose()


class SealedConnection(ClientConnection):
    """A WebSocket of a sync client: in flight from its handshake until it is closed."""

    def __init__(self, seal: Seal, *args: Any, **options: Any) -> None:
        # First of all: the base class starts the thread that reads.
        self._seal = seal
        self._in_flight: weakref.finalize[Any, Any] | None = None
        super().__init__(*args, **options)

    def handshake(
        self,
        additional_headers: HeadersLike | None = None,
        user_agent_header: str | None = None,
        timeout: float | None = None,
    ) -> None:
        seal, said = self._seal, Headers(additional_headers or ())
        self._in_flight = _in_flight(self, seal.gate)
        passage = seal.taken() or Passage(seal.gate, _request(seal, self.protocol.uri, said))
        try:
            with _stamped(self, passage.request, said) as headers:
                super().handshake(headers, user_agent_header, timeout)
            passage.answered(ACCEPTED)
        except InvalidStatus as refused:
            _check_redirect(seal, self.protocol.uri, refused)
            if passage.answered(refused.response.status_code):
                seal.again = passage
            raise
        finally:
            if seal.again is not passage:
                passage.close()

    def recv_events(self) -> None:
        try:
            super().recv_events()
        finally:
            if self._in_flight is not None:
                self._in_flight()


class AsyncSealedConnection(AsyncClientConnection):
    """A WebSocket of an async client: in flight from its handshake until it is closed."""

    def __init__(self, seal: Seal, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._seal = seal
        self._in_flight: weakref.finalize[Any, Any] | None = None

    async def handshake(
        self,
        additional_headers: HeadersLike | None = None,
        user_agent_header: str | None = None,
    ) -> None:
        seal, said = self._seal, Headers(additional_headers or ())
        self._in_flight = _in_flight(self, seal.gate)
        passage: AsyncPassage = (
            seal.taken()
            or await AsyncPassage(seal.gate, _request(seal, self.protocol.uri, said)).enter()
        )
        try:
            with _stamped(self, passage.request, said) as headers:
                await super().handshake(headers, user_agent_header)
            await passage.answered(ACCEPTED)
        except InvalidStatus as refused:
            _check_redirect(seal, self.protocol.uri, refused)
            if await passage.answered(refused.response.status_code):
                seal.again = passage
            raise
        finally:
            if seal.again is not passage:
                await passage.close()

    def connection_lost(self, exc: Exception | None) -> None:
        try:
            super().connection_lost(exc)
        finally:
            if self._in_flight is not None:
                self._in_flight()


def _in_flight(connection: object, gate: Gate) -> weakref.finalize[Any, Any]:
    """Count a connection as in flight until what this returns is called, or it is collected."""
    over = weakref.finalize(connection, gate.end, gate.begin())
    over.atexit = False
    return over


def _request(seal: Seal, uri: WebSocketURI, said: Headers) -> httpx.Request:
    if uri.user_info is not None:
        raise seal.gate.refusal("the URL carries a credential that is not the tenant's")
    return seal.request(_url(uri), list(said.raw_items()))


def _check_redirect(seal: Seal, uri: WebSocketURI, refused: InvalidStatus) -> None:
    response = refused.response
    seal.check_redirect(_url(uri), response.status_code, response.headers.get("Location"))


def _url(uri: WebSocketURI) -> httpx.URL:
    scheme = "wss" if uri.secure else "ws"
    host = f"[{uri.host}]" if ":" in uri.host else uri.host
    return httpx.URL(f"{scheme}://{host}:{uri.port}{uri.resource_name}")


@contextlib.contextmanager
def _stamped(
    connection: ClientConnection | AsyncClientConnection, request: httpx.Request, said: Headers
) -> Generator[list[tuple[str, str]]]:
    """Give the headers to send, and the secrets of the query, for the length of a handshake."""
    protocol = connection.protocol
    uri, debug = protocol.uri, protocol.debug
    sent = filled(request)
    protocol.uri = replace(uri, query=sent.url.query.decode("ascii"))
    protocol.debug = False  # it would write the secrets into the log
    try:
        # `websockets` says the host itself, and would say it twice.
        yield [(name, value) for name, value in sent.headers.multi_items() if name != "host"]
    finally:
        protocol.uri, protocol.debug = uri, debug
        # What can be printed holds placeholders.
        connection.request = Request(uri.resource_name, said)
