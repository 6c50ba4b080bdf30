"""A request's tenant, and its clients: `request.openai`, `get_client(request, timeout=5)`."""

from __future__ import annotations

import asyncio
import inspect
import warnings
from collections.abc import Awaitable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django.core.exceptions import SynchronousOnlyOperation
from django.http import HttpRequest

from tenantry.context import current_tenant
from tenantry.errors import NoCurrentTenantError
from tenantry.integrations.django.opened import holder
from tenantry.integrations.django.options import SETTING

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI
    from typing_extensions import Unpack

    from tenantry.clients import ClientOptions

_SLOT = "_tenantry_found"


class NobodySaysError(NoCurrentTenantError):
    """Nothing says whose a request is, and no tenant is current."""

    def message(self) -> str:
        return (
            f"nothing says whose a request is: give {SETTING}['tenant'] a resolver, such as"
            " from_user('organization.slug'), or enter use_tenant(...) before a client is asked for"
        )


@dataclass(frozen=True, slots=True)
class _Found:
    """Whose a request was found to be while `user` was its user."""

    user: object
    tenant: str | None
    error: Exception | None = None

    def fits(self, request: HttpRequest) -> bool:
        """Whether nobody logged in since, such as a view of Django REST framework does."""
        return self.user is vars(request).get("user")

    def name(self) -> str:
        if self.error is not None:
            raise self.error
        if self.tenant is None:
            raise NoCurrentTenantError
        return self.tenant


class TenantRequest(HttpRequest):
    """What `TenantryMiddleware` makes of a request; annotate the requests of views with it."""

    @property
    def openai(self) -> OpenAI:
        """The client of the request's tenant; see `get_client`."""
        return get_client(self)

    @property
    def async_openai(self) -> AsyncOpenAI:
        """The async client of the request's tenant; `aget_client` has options, too."""
        return holder.get().registry.async_client(get_tenant(self))


@cache
def with_clients(request_class: Any) -> type[TenantRequest]:
    """Return a request's class with `openai` and `async_openai`."""
    bases: tuple[Any, ...] = (request_class,)
    if not issubclass(request_class, TenantRequest):
        bases = (TenantRequest, *bases)
    return type(request_class.__name__, bases, {})


def get_client(
    request: HttpRequest, *, endpoint: str | None = None, **options: Unpack[ClientOptions]
) -> OpenAI:
    """Return the client of the request's tenant; with options, a clone.

    Raises:
        TenantryError: what `ClientRegistry.client` raises; `NoCurrentTenantError` where the request
            has no tenant.
        PermissionDenied: the caller may not act for the tenant that the request names.
    """
    if _on_a_loop():
        warnings.warn(_HOLDS_UP, RuntimeWarning, stacklevel=2)
    tenant = get_tenant(request)
    return holder.get().registry.client(tenant, endpoint=endpoint, **options)


async def aget_client(
    request: HttpRequest, *, endpoint: str | None = None, **options: Unpack[ClientOptions]
) -> AsyncOpenAI:
    """Return the async client of the request's tenant; see `get_client`."""
    tenant = await aget_tenant(request)
    registry = holder.get().registry
    await registry.aload(tenant)
    return registry.async_client(tenant, endpoint=endpoint, **options)


def get_tenant(request: HttpRequest) -> str:
    """Return the name of the request's tenant; without a resolver it is the current one.

    Raises:
        NoCurrentTenantError: it has none.
        PermissionDenied: the caller may not act for the tenant that the request names.
    """
    if holder.get().resolver is None:
        return _current()
    known = _known(request)
    # One that had none may have one by now; on a loop only middleware can find out.
    if known is None or (known.tenant is None and not _on_a_loop()):
        known = _remember(request, _resolved(request))
    return known.name()


async def aget_tenant(request: HttpRequest) -> str:
    """Do what `get_tenant` does, where resolving may have to wait."""
    if holder.get().resolver is None:
        return _current()
    known = _known(request)
    if known is None or known.tenant is None:
        known = _remember(request, await _aresolved(request))
    return known.name()


def _current() -> str:
    try:
        return current_tenant()
    except NoCurrentTenantError:
        raise NobodySaysError from None


def find_tenant(request: HttpRequest) -> str | None:
    """Look whose the request is, and remember it; what is wrong is told to who asks later."""
    try:
        return _remember(request, _resolved(request)).tenant
    except Exception as error:  # noqa: BLE001  # raised again by `get_tenant`
        return _remember(request, None, error).tenant


async def afind_tenant(request: HttpRequest) -> str | None:
    """Do what `find_tenant` does, and have a lazy catalog read the tenant."""
    try:
        tenant = await _aresolved(request)
        if tenant is not None:
            await holder.get().registry.aload(tenant)
        return _remember(request, tenant).tenant
    except Exception as error:  # noqa: BLE001  # raised again by `get_tenant`
        return _remember(request, None, error).tenant


def is_async(function: Any) -> bool:
    """Whether a view, a resolver or a middleware has to be awaited."""
    # inspect's knows what Django marks from Python 3.12 on only.
    return iscoroutinefunction(function)  # pyright: ignore[reportDeprecated]


def _known(request: HttpRequest) -> _Found | None:
    found: _Found | None = vars(request).get(_SLOT)
    return found if found is not None and found.fits(request) else None


def _remember(request: HttpRequest, tenant: str | None, error: Exception | None = None) -> _Found:
    found = _Found(vars(request).get("user"), tenant, error)
    vars(request)[_SLOT] = found
    return found


def _resolved(request: HttpRequest) -> str | None:
    resolver = holder.get().resolver
    if resolver is None:
        return None
    if _on_a_loop():
        return _without_waiting(resolver, request)
    found = resolver(request)
    return async_to_sync(_awaited)(found) if isinstance(found, Awaitable) else found


def _without_waiting(resolver: Any, request: HttpRequest) -> str | None:
    try:
        found = resolver(request)
    except SynchronousOnlyOperation as error:
        raise SynchronousOnlyOperation(_CANNOT_WAIT) from error
    if inspect.iscoroutine(found):
        found.close()
        raise SynchronousOnlyOperation(_CANNOT_WAIT)
    return found  # type: ignore[no-any-return]


async def _aresolved(request: HttpRequest) -> str | None:
    resolver = holder.get().resolver
    if resolver is None:
        return None
    if is_async(resolver):
        return await _awaited(resolver(request))
    found = await sync_to_async(resolver)(request)
    return await found if isinstance(found, Awaitable) else found


async def _awaited(found: Any) -> str | None:
    return await found  # type: ignore[no-any-return]


def _on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


_HOLDS_UP = (
    "a sync client was asked for on an event loop: its requests hold up everybody else there; take"
    " request.async_openai, or await aget_client(request)"
)
_CANNOT_WAIT = (
    "whose the request is takes waiting: await aget_client(request), or put"
    " 'tenantry.integrations.django.middleware.TenantryMiddleware' into MIDDLEWARE"
)
