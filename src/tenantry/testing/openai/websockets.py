"""WebSockets once their handshake was accepted: who is connected, and what is said in turn."""

from __future__ import annotations

import asyncio
import json
from itertools import count
from typing import TYPE_CHECKING

from tenantry.testing.openai import replies
from tenantry.testing.openai.answers import encode
from tenantry.testing.openai.events import response_messages

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from starlette.types import Message, Receive, Send

    from tenantry.testing.openai.controls import StreamOrders

SESSION_ID = "sess_tenantry"


class Conversations:
    """The open WebSockets of one server."""

    def __init__(self, lock: threading.RLock, *, reply: str) -> None:
        self._lock = lock
        self._reply = reply
        self._open: dict[asyncio.Future[int | None], asyncio.AbstractEventLoop] = {}

    @property
    def count(self) -> int:
        with self._lock:
            return len(self._open)

    def drop(self, code: int | None) -> None:
        """End all conversations: with a close frame of that code, or without a word."""
        with self._lock:
            for dropped, loop in self._open.items():
                loop.call_soon_threadsafe(_settle, dropped, code)

    async def hold(
        self, operation: str, model: str, orders: StreamOrders, receive: Receive, send: Send
    ) -> None:
        """Accept a WebSocket, and answer its events until one side ends it."""
        loop = asyncio.get_running_loop()
        dropped: asyncio.Future[int | None] = loop.create_future()
        with self._lock:
            self._open[dropped] = loop
        try:
            await send({"type": "websocket.accept"})
            speaker = _Speaker(operation, model, self._reply)
            await _converse(speaker, orders, dropped, receive, send)
        finally:
            with self._lock:
                del self._open[dropped]


def _settle(dropped: asyncio.Future[int | None], code: int | None) -> None:
    if not dropped.done():
        dropped.set_result(code)


async def _converse(
    speaker: _Speaker,
    orders: StreamOrders,
    dropped: asyncio.Future[int | None],
    receive: Receive,
    send: Send,
) -> None:
    said = 0
    events = speaker.greeting()
    while True:
        for event in events:
            # Returning without a close frame makes uvicorn drop the connection: that is the cut.
            if said == orders.cut_after:
                return
            await asyncio.sleep(orders.pace)
            await send({"type": "websocket.send", "text": event.decode()})
            said += 1
        message = await _next_message(dropped, receive)
        if message is None:
            if (code := dropped.result()) is not None:
                await send({"type": "websocket.close", "code": code})
            return
        if message["type"] == "websocket.disconnect":
            return
        events = speaker.answer(message.get("text") or message.get("bytes") or "")


async def _next_message(dropped: asyncio.Future[int | None], receive: Receive) -> Message | None:
    """Return what came, or None when the conversation was dropped first."""
    listening = asyncio.ensure_future(receive())
    await asyncio.wait((listening, dropped), return_when=asyncio.FIRST_COMPLETED)
    if listening.done():
        return listening.result()
    listening.cancel()
    return None


class _Speaker:
    """What the server says on one WebSocket; `operation` is the end of its path."""

    def __init__(self, operation: str, model: str, reply: str) -> None:
        self._has_session = operation != "responses"
        self._model = model
        self._reply = reply
        self._numbers = count(1)

    def greeting(self) -> Iterator[bytes]:
        if self._has_session:
            yield self._event("session.created", session=self._session({}))

    def answer(self, text: str | bytes) -> Iterator[bytes]:
        try:
            said = json.loads(text)
        except ValueError:
            said = {}
        kind = said.get("type") if isinstance(said, dict) else None
        if kind == "response.create":
            yield from self._respond(said)
        elif kind == "session.update" and self._has_session:
            yield self._event("session.updated", session=self._session(said.get("session") or {}))
        else:
            message = "Invalid event: its type is missing or unknown."
            error = {"type": "invalid_request_error", "code": "invalid_event", "message": message}
            yield self._event("error", error=error)

    def _respond(self, said: dict[str, object]) -> Iterator[bytes]:
        if not self._has_session:
            yield from response_messages(str(said.get("model") or self._model), self._reply)
            return
        response = {"id": replies.RESPONSE_ID, "object": "realtime.response", "output": []}
        yield self._event("response.created", response={**response, "status": "in_progress"})
        content = [{"type": "output_text", "text": self._reply}]
        item = {**replies.unfinished_message(), "status": "completed", "content": content}
        done = {**response, "status": "completed", "output": [item]}
        yield self._event("response.done", response=done)

    def _session(self, said: dict[str, object]) -> dict[str, object]:
        model = {"id": SESSION_ID, "object": "realtime.session", "model": self._model}
        return {"type": "realtime", **said, **model}

    def _event(self, kind: str, **rest: object) -> bytes:
        return encode({"type": kind, "event_id": f"event_{next(self._numbers)}", **rest})
