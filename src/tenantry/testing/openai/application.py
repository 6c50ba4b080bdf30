"""From a request on the socket to its answer: orders, credential, record, bytes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tenantry.testing.openai.answers import Answer
from tenantry.testing.openai.endpoints import Call
from tenantry.testing.openai.keys import read_credential
from tenantry.testing.openai.recording import RecordedRequest, read_headers, read_query
from tenantry.testing.openai.refusals import refuse, refuse_key
from tenantry.testing.openai.routes import Surface, find_route, find_socket_route

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from tenantry.testing.openai.controls import Controls, Interruption
    from tenantry.testing.openai.endpoints import Endpoints
    from tenantry.testing.openai.keys import KeyRing, Presented, Standing
    from tenantry.testing.openai.recording import Recorder, Visit
    from tenantry.testing.openai.routes import Route
    from tenantry.testing.openai.websockets import Conversations

SWITCHING_PROTOCOLS = 101
WEBSOCKET = "websocket"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request with what was true when it arrived; no later revocation touches it."""

    visit: Visit
    scope: Scope = field(repr=False)
    body: bytes = field(repr=False)
    path: str
    route: Route | None
    presented: Presented
    standing: Standing

    @property
    def surface(self) -> Surface:
        return Surface.OPENAI if self.route is None else self.route.surface

    @property
    def has_api_version(self) -> bool:
        return any(read_query(self.scope["query_string"]).get("api-version", []))

    @property
    def model(self) -> str:
        """The model, or deployment, that a WebSocket's query names."""
        query = read_query(self.scope["query_string"])
        return next(iter(query.get("model", []) + query.get("deployment", [])), "")


class Application:
    """The ASGI application of one server.

    It is plain ASGI: Starlette's routing and responses would cost more than the answers do.
    """

    def __init__(
        self,
        *,
        keys: KeyRing,
        controls: Controls,
        recorder: Recorder,
        endpoints: Endpoints,
        conversations: Conversations,
    ) -> None:
        self._keys = keys
        self._controls = controls
        self._recorder = recorder
        self._endpoints = endpoints
        self._conversations = conversations

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = self._recorder.enter(scope["client"][1])
        try:
            if scope["type"] == WEBSOCKET:
                await self._meet(self._arrive(visit, scope, b""), receive, send)
                return
            body = await _read_body(receive)
            if body is not None:
                await self._serve(self._arrive(visit, scope, body), send)
        finally:
            self._recorder.leave(visit)

    def _arrive(self, visit: Visit, scope: Scope, body: bytes) -> Arrival:
        presented = read_credential(scope["headers"])
        path = scope["raw_path"].decode("latin-1")
        route = find_socket_route(path) if scope["type"] == WEBSOCKET else find_route(path)
        standing = self._keys.standing(presented.key)
        return Arrival(visit, scope, body, path, route, presented, standing)

    async def _serve(self, arrival: Arrival, send: Send) -> None:
        answer = await self._interrupt(arrival) or self._answer(arrival)
        self._record(arrival, answer.status)
        await self._send(arrival.visit, answer, send)

    async def _meet(self, arrival: Arrival, receive: Receive, send: Send) -> None:
        """Answer a WebSocket's handshake as any request is answered; then converse."""
        await receive()  # says that there is a handshake to answer
        met = await self._interrupt(arrival) or _admit(arrival)
        self._record(arrival, met.status if isinstance(met, Answer) else SWITCHING_PROTOCOLS)
        self._recorder.leave(arrival.visit)
        if isinstance(met, Answer):
            await send({**_head(arrival.visit, met), "type": "websocket.http.response.start"})
            await send({"type": "websocket.http.response.body", "body": met.body})
        else:
            orders = self._controls.take_for_stream()
            await self._conversations.hold(met.operation, arrival.model, orders, receive, send)

    async def _interrupt(self, arrival: Arrival) -> Answer | None:
        """Wait as long as was ordered, and return the answer that was ordered, if any."""
        orders = self._controls.take(arrival.presented.key, arrival.path)
        if orders.delay:
            await asyncio.sleep(orders.delay)
        if orders.interruption is None:
            return None
        return _interrupted(orders.interruption, arrival.surface)

    def _record(self, arrival: Arrival, status: int) -> None:
        # Recorded first: who has an answer must find the request that it belongs to.
        if self._recorder.enabled:
            self._recorder.record(_record(arrival, status))

    def _answer(self, arrival: Arrival) -> Answer:
        met = _admit(arrival)
        if isinstance(met, Answer):
            return met
        scope = arrival.scope
        return self._endpoints.answer(
            Call(scope["method"], met, _content_type(scope), arrival.body)
        )

    async def _send(self, visit: Visit, answer: Answer, send: Send) -> None:
        if answer.events:
            await self._send_events(visit, answer, send)
            return
        # A client that has its answer must not find itself in flight: leave before the last byte.
        self._recorder.leave(visit)
        length = (b"content-length", str(len(answer.body)).encode())
        await send(_head(visit, answer, length))
        await send({"type": "http.response.body", "body": answer.body})

    async def _send_events(self, visit: Visit, answer: Answer, send: Send) -> None:
        orders = self._controls.take_for_stream()
        events = answer.events[: orders.cut_after]
        await send(_head(visit, answer, (b"cache-control", b"no-cache")))
        for position, event in enumerate(events, start=1):
            if orders.pace:
                await asyncio.sleep(orders.pace)
            if position == len(answer.events):
                self._recorder.leave(visit)
            await send({"type": "http.response.body", "body": event, "more_body": True})
        # Returning without the end makes uvicorn drop the connection: that is the cut.
        if len(events) == len(answer.events):
            await send({"type": "http.response.body", "body": b""})


def _admit(arrival: Arrival) -> Route | Answer:
    """Return what is asked for; or a refusal, where the credential or the path is wrong."""
    surface, route = arrival.surface, arrival.route
    if surface is not Surface.TOKEN and not arrival.standing.valid:
        return refuse_key(surface, arrival.presented)
    if route is None or (surface.needs_api_version and not arrival.has_api_version):
        return refuse(404, surface)
    return route


async def _read_body(receive: Receive) -> bytes | None:
    """Read the whole body; None when the client went away before its end."""
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def _interrupted(interruption: Interruption, surface: Surface) -> Answer:
    if interruption.location is not None:
        location = interruption.location.encode("latin-1")
        return Answer(interruption.status, headers=((b"location", location),))
    return refuse(interruption.status, surface, retry_after=interruption.retry_after)


def _content_type(scope: Scope) -> str:
    values = (value for name, value in scope["headers"] if name == b"content-type")
    return next(values, b"").decode("latin-1")


def _record(arrival: Arrival, status: int) -> RecordedRequest:
    scope, presented, standing = arrival.scope, arrival.presented, arrival.standing
    return RecordedRequest(
        sequence=arrival.visit.sequence,
        method=scope.get("method", "GET"),  # a WebSocket's handshake has no other
        path=arrival.path,
        status=status,
        key_kind=presented.kind,
        conflicting=presented.conflicting,
        tenant=standing.tenant,
        version=standing.version,
        client_port=arrival.visit.client_port,
        received_at=arrival.visit.received_at,
        query=read_query(scope["query_string"]),
        headers=read_headers(scope["headers"]),
        body=arrival.body,
        key=presented.key,
    )


def _head(visit: Visit, answer: Answer, *framing: tuple[bytes, bytes]) -> dict[str, object]:
    return {
        "type": "http.response.start",
        "status": answer.status,
        "headers": [
            (b"content-type", answer.content_type),
            (b"x-request-id", b"req_%d" % visit.sequence),
            *framing,
            *answer.headers,
        ],
    }
