"""How our errors are answered: problem+json (RFC 9457) over HTTP, a close code on a WebSocket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.responses import JSONResponse, Response
from fastapi.websockets import WebSocket, WebSocketState

from tenantry.errors import (
    NoCurrentTenantError,
    RegistryClosedError,
    TenantDisabledError,
    TenantError,
    TenantryError,
    UnknownTenantError,
)
from tenantry.integrations.fastapi.installation import serving
from tenantry.integrations.web import NOT_ALLOWED, PROBLEM_JSON, Answer, answer_to

if TYPE_CHECKING:
    from http import HTTPStatus

    from fastapi import FastAPI
    from fastapi.requests import HTTPConnection


class NoTenantNamedError(NoCurrentTenantError):
    """The application's resolver found no tenant in the request."""

    def message(self) -> str:
        return "the request names no tenant: the resolver that install() was given returned None"


class NotAuthorizedError(TenantError):
    """The caller may not act for the tenant that the request names."""

    def message(self) -> str:
        return f"the caller may not act for tenant {self.tenant!r}: `authorize` returned False"


def answer_errors(app: FastAPI) -> None:
    """Have an application answer our errors, unless it does so itself."""
    handlers: dict[Any, Any] = app.exception_handlers  # typed for HTTP only
    handlers.setdefault(TenantryError, answered)


def answers(unknown: HTTPStatus) -> list[Answer]:
    """Return all that an endpoint that asks for a tenant may be answered, one per status."""
    errors = NoCurrentTenantError(), TenantDisabledError(""), UnknownTenantError("")
    found = [answer_to(error, unknown=unknown) for error in (*errors, RegistryClosedError())]
    return [answer for answer in found if answer is not None]


async def answered(connection: HTTPConnection, error: TenantryError) -> Response | None:
    """Answer an error of ours; what is the application's own mistake is raised on."""
    answer = _answer(connection, error)
    if isinstance(connection, WebSocket):
        await _close(connection, answer)
        return None
    return JSONResponse(
        answer.problem(), answer.status, dict(answer.headers), media_type=PROBLEM_JSON
    )


def _answer(connection: HTTPConnection, error: TenantryError) -> Answer:
    here = serving(connection)
    if type(error) is NoCurrentTenantError:
        raise RuntimeError(_DID_NOT_TRAVEL if here.tenant else _NOT_ASKED) from error
    if isinstance(error, NotAuthorizedError):
        return NOT_ALLOWED
    answer = answer_to(error, unknown=here.installation.unknown)
    if answer is None:
        raise error
    return answer


async def _close(websocket: WebSocket, answer: Answer) -> None:
    if websocket.application_state is WebSocketState.CONNECTING:
        # A handshake that is refused tells a browser nothing; only an open one has a close code.
        await websocket.accept(next(iter(websocket.scope.get("subprotocols", ())), None))
    if websocket.application_state is WebSocketState.CONNECTED:
        await websocket.close(answer.close_code, answer.detail)


_NOT_ASKED = (
    "client() was called for the current tenant in a request that has none: let the endpoint, or"
    " its router, depend on TenantName or TenantClient, or pass the tenant's name"
)
_DID_NOT_TRAVEL = (
    "the request has a current tenant, but where client() was called it is not: a thread or task"
    " that began elsewhere has a context of its own. Pass the tenant's name, or begin the work with"
    " contextvars.copy_context().run(...)"
)
