"""The middleware: `request.openai`, `request.async_openai`, and errors as problem+json."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync, markcoroutinefunction
from django.http import JsonResponse

from tenantry.context import use_tenant
from tenantry.errors import TenantryError
from tenantry.integrations.django.opened import holder
from tenantry.integrations.django.requests import afind_tenant, find_tenant, is_async, with_clients
from tenantry.integrations.django.resolvers import TenantNotAllowed
from tenantry.integrations.web import PROBLEM_JSON, Answer, answer_to

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

log = logging.getLogger("tenantry")

_SLOT = "_tenantry_exit"


class TenantryMiddleware:
    """Gives every request its tenant's clients; stands behind AuthenticationMiddleware.

    Whose a request is, is asked when a view wants a client. An async view could not wait then, so
    that it is asked before, once all middleware has run.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._is_async = is_async(get_response)
        self.process_view: Callable[..., Any] = self._before_view
        if self._is_async:
            markcoroutinefunction(self)
            self.process_view = self._before_view_async

    def __call__(self, request: HttpRequest) -> Any:
        kind: Any = type(request)
        request.__class__ = with_clients(kind)
        if self._is_async:
            return self._answer(request)
        with ExitStack() as stack:
            vars(request)[_SLOT] = stack
            return self._get_response(request)

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        with ExitStack() as stack:
            vars(request)[_SLOT] = stack
            return await self._get_response(request)

    def _before_view(self, request: HttpRequest, view: Any, *_: Any) -> None:
        if is_async(view):
            _enter(request, async_to_sync(afind_tenant)(request))
        elif _makes_current():
            _enter(request, find_tenant(request))

    async def _before_view_async(self, request: HttpRequest, view: Any, *_: Any) -> None:
        if is_async(view) or _makes_current():
            _enter(request, await afind_tenant(request))

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer what our errors mean; None leaves the others to Django."""
        del request
        answer = _answer_to(exception)
        if answer is None:
            return None
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.warning("tenantry: %s", exception)
        return JsonResponse(
            answer.problem(),
            status=answer.status,
            headers=dict(answer.headers),
            content_type=PROBLEM_JSON,
        )


def _makes_current() -> bool:
    return holder.options.current


def _enter(request: HttpRequest, tenant: str | None) -> None:
    if tenant is not None and _makes_current():
        vars(request)[_SLOT].enter_context(use_tenant(tenant))


def _answer_to(exception: Exception) -> Answer | None:
    if isinstance(exception, TenantNotAllowed):
        return Answer(HTTPStatus.FORBIDDEN, "The tenant may not be used.")
    if isinstance(exception, TenantryError):
        return answer_to(exception, unknown=HTTPStatus(holder.options.unknown))
    return None
