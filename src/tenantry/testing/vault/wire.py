"""From HTTP to a `VaultRequest`, and from a `Reply` back to HTTP, as a small ASGI application."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from tenantry.testing.vault.core import VaultRequest
from tenantry.testing.vault.envelope import Json, RefusedError, Reply

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Receive, Scope, Send

_PREFIX = "/v1/"


class Application:
    """Hands each request below /v1/ to `answer`."""

    def __init__(self, answer: Callable[[VaultRequest], Awaitable[Reply]]) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = await self._reply(scope, await _content(receive))
        await _send(send, reply)

    async def _reply(self, scope: Scope, content: bytes) -> Reply:
        if not str(scope["path"]).startswith(_PREFIX):
            return RefusedError(404).reply
        try:
            request = _request(scope, content)
        except ValueError:
            return RefusedError(400, "error parsing JSON").reply
        return await self._answer(request)


async def _content(receive: Receive) -> bytes:
    content, more = b"", True
    while more:
        message = await receive()
        content += message.get("body", b"")
        more = message.get("more_body", False)
    return content


def _request(scope: Scope, content: bytes) -> VaultRequest:
    headers = {name.decode("latin-1"): value.decode() for name, value in scope["headers"]}
    query = scope["query_string"].decode()
    raw_path = scope.get("raw_path") or str(scope["path"]).encode()
    return VaultRequest(
        method=scope["method"],
        path=str(scope["path"]).removeprefix(_PREFIX).lstrip("/"),
        target=raw_path.decode("latin-1") + (f"?{query}" if query else ""),
        query=dict(parse_qsl(query)),
        body=_json(content),
        token=headers.get("x-vault-token") or _bearer(headers.get("authorization", "")),
        namespace=headers.get("x-vault-namespace", ""),
        wrap_ttl=headers.get("x-vault-wrap-ttl"),
    )


def _json(content: bytes) -> Json:
    if not content:
        return {}
    parsed = json.loads(content)
    if parsed is None:
        return {}
    if not isinstance(parsed, dict):
        message = "not an object"
        raise ValueError(message)  # noqa: TRY004 - to the caller it is bad JSON like any other
    return parsed


def _bearer(header: str) -> str | None:
    scheme, _, token = header.partition(" ")
    return token if scheme.lower() == "bearer" else None


async def _send(send: Send, reply: Reply) -> None:
    content, kind = _encoded(reply)
    headers = {"Cache-Control": "no-store", "Content-Type": kind, **reply.headers}
    if reply.status != HTTPStatus.NO_CONTENT:
        headers["Content-Length"] = str(len(content))
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": encoded})
    await send({"type": "http.response.body", "body": content})


def _encoded(reply: Reply) -> tuple[bytes, str]:
    if isinstance(reply.body, str):
        return reply.body.encode(), "text/html; charset=utf-8"
    content = b"" if reply.body is None else json.dumps(reply.body).encode()
    return content, "application/json"
