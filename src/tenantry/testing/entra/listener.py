"""The HTTP side: records each request, lets the planned faults happen, asks the service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import parse_qsl

from tenantry.errors import MissingExtraError
from tenantry.testing.entra.exchange import Call, Reply
from tenantry.testing.serving import LoopbackServer

try:
    from starlette.applications import Starlette
    from starlette.responses import HTMLResponse, JSONResponse, Response
    from starlette.routing import Route
except ModuleNotFoundError as missing:
    raise MissingExtraError(extra="testing", needed_for="the embedded servers") from missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from tenantry.testing.certificates import ServerCertificate
    from tenantry.testing.entra.exchange import RequestKind, RequestLog
    from tenantry.testing.entra.faults import Failure, Faults


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One path of a service: what answers there, and how that service words a failure."""

    method: str
    path: str
    kind: RequestKind
    answer: Callable[[Call], Reply]
    failure: Callable[[int, str], Reply]


class Listener(LoopbackServer):
    """One port with its endpoints; it may stop and start again while the server lives."""

    name: ClassVar[str] = "entra"

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        *,
        log: RequestLog,
        faults: Faults,
        certificate: ServerCertificate | None = None,
    ) -> None:
        super().__init__(certificate=certificate)
        self._endpoints = endpoints
        self._log = log
        self._faults = faults

    def application(self) -> Starlette:
        return Starlette(routes=[self._route(endpoint) for endpoint in self._endpoints])

    def _route(self, endpoint: Endpoint) -> Route:
        async def respond(request: Request) -> Response:
            return _response(await self._reply(endpoint, request))

        return Route(endpoint.path, respond, methods=[endpoint.method])

    async def _reply(self, endpoint: Endpoint, request: Request) -> Reply:
        call = await _call(endpoint.kind, request)
        self._log.record(call)
        fault = self._faults.next(endpoint.kind)
        await asyncio.sleep(fault.delay)
        if fault.failure is not None:
            return _failed(endpoint, fault.failure)
        return endpoint.answer(call)


async def _call(kind: RequestKind, request: Request) -> Call:
    body = await request.body()
    return Call(
        kind=kind,
        method=request.method,
        origin=str(request.base_url).rstrip("/"),
        path=request.url.path,
        path_params=request.path_params,
        query=request.query_params,
        headers=request.headers,
        form=dict(parse_qsl(body.decode(errors="replace"))),
    )


def _failed(endpoint: Endpoint, failure: Failure) -> Reply:
    if failure.error is None:
        reply = Reply(failure.status, f"<html><body><h1>{failure.status}</h1></body></html>")
    else:
        reply = endpoint.failure(failure.status, failure.error)
    if failure.retry_after is None:
        return reply
    return replace(reply, headers={**reply.headers, "Retry-After": str(failure.retry_after)})


def _response(reply: Reply) -> Response:
    headers = {"Cache-Control": "no-store", **reply.headers}
    if isinstance(reply.body, Mapping):
        return JSONResponse(dict(reply.body), reply.status, headers)
    return HTMLResponse(reply.body, reply.status, headers)
