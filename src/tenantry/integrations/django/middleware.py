"""The middleware: `request.openai`, `request.async_openai`, and errors as problem+json."""

from __future__ import annotations

import logging
import sys
from contextlib import ExitStack
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync, markcoroutinefunction
from django.http import JsonResponse

from tenantry.context import use_tenant
from tenantry.errors import TenantryError
from tenantry.integrations.django.opened import holder
from tenantry.integrations.django.requests import (
    NobodySaysError,
    afind_tenant,
    find_tenant,
    is_async,
    with_clients,
)
from tenantry.integrations.django.resolvers import TenantNotAllowed
from tenantry.integrations.web import NOT_ALLOWED, PROBLEM_JSON, Answer, answer_to

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.http import HttpRequest, HttpResponse

log = logging.getLogger("tenantry")

_SLOT = "_tenantry_exit"
_RAISED = "_tenantry_raised"


class TenantryMiddleware:
    """Gives every request its tenant's clients; stands behind AuthenticationMiddleware.

    Whose a request is, is asked when a view wants a client. An async view could not wait then, so
    that it is asked before, once all middleware has run. Our errors are answered where a view, or
    middleware behind this one, raises them.
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
            return self._put_right(request, self._get_response(request))

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        with ExitStack() as stack:
            vars(request)[_SLOT] = stack
            return self._put_right(request, await self._get_response(request))

    def _before_view(self, request: HttpRequest, view: Any, *_: Any) -> None:
        if is_async(view):
            _enter(request, async_to_sync(afind_tenant)(request))
        elif _makes_current():
            _enter(request, find_tenant(request))

    async def _before_view_async(self, request: HttpRequest, view: Any, *_: Any) -> None:
        if is_async(view) or _makes_current():
            _enter(request, await afind_tenant(request))

    def _put_right(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        """Answer what middleware behind this one raised, of which Django has made its 500."""
        raised = vars(request).pop(_RAISED, None)
        if raised is None or response.status_code != HTTPStatus.INTERNAL_SERVER_ERROR:
            return response
        return self.process_exception(request, raised) or response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer what our errors mean; None leaves the others to Django."""
        del request
        answer = _answer_to(exception)
        if answer is None:
            return None
        if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR or isinstance(
            exception, NobodySaysError
        ):
            log.warning("tenantry: %s", exception)
        return JsonResponse(
            answer.problem(),
            status=answer.status,
            headers=dict(answer.headers),
            content_type=PROBLEM_JSON,
        )


def remember(request: HttpRequest | None = None, **_: object) -> None:
    """Remember an error of ours that Django answers 500, as `got_request_exception` tells."""
    raised = sys.exc_info()[1]
    if request is not None and isinstance(raised, TenantryError):
        vars(request)[_RAISED] = raised


def _makes_current() -> bool:
    return holder.options.current


def _enter(request: HttpRequest, tenant: str | None) -> None:
    if tenant is not None and _makes_current():
        vars(request)[_SLOT].enter_context(use_tenant(tenant))


def _answer_to(exception: Exception) -> Answer | None:
    if isinstance(exception, TenantNotAllowed):
        return NOT_ALLOWED
    if isinstance(exception, TenantryError):
        return answer_to(exception, unknown=HTTPStatus(holder.options.unknown))
    return None
