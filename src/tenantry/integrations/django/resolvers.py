"""Whose is a request? Ways to say it for `TENANTRY["tenant"]`.

A resolver is any callable, async or not, that takes a request and returns a tenant's name, or None
where there is none. It is asked after all middleware, so that it knows who was authenticated.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from django.core.exceptions import (
    ImproperlyConfigured,
    ObjectDoesNotExist,
    PermissionDenied,
)

from tenantry.integrations.django.options import imported

if TYPE_CHECKING:
    from django.http import HttpRequest

Authorize: TypeAlias = "Callable[[HttpRequest, str], bool | Awaitable[bool]]"


class TenantNotAllowed(PermissionDenied):  # named as Django names its own
    """The caller may not act for the tenant that the request names."""


class from_user:  # noqa: N801  # used as a function
    """Takes the tenant's name from the authenticated user.

    Args:
        where: a dotted path of attributes, `"organization.slug"`, or a callable that takes the
            user. What is None, or a related object that does not exist, is no tenant.
    """

    def __init__(self, where: str | Callable[[Any], object]) -> None:
        self._where = where

    def __call__(self, request: HttpRequest) -> str | None:
        user: Any = getattr(request, "user", None)
        if user is None:
            raise ImproperlyConfigured(_NO_USER)
        if not user.is_authenticated:
            return None
        try:
            found = self._where(user) if callable(self._where) else _followed(user, self._where)
        except ObjectDoesNotExist:
            return None
        return None if found is None else str(found)


class _Claimed:
    """Takes a name that the request itself claims, if `authorize` says that the caller may."""

    def __init__(self, authorize: Authorize | str) -> None:
        said: Any = authorize
        if not callable(said) and not isinstance(said, str):
            raise TypeError(_NOT_AUTHORIZED)
        self._authorize = authorize

    def claimed(self, request: HttpRequest) -> str | None:
        raise NotImplementedError

    def __call__(self, request: HttpRequest) -> str | Awaitable[str | None] | None:
        tenant = self.claimed(request)
        if not tenant:
            return None
        authorize: Authorize = imported(self._authorize, "tenant")
        allowed = authorize(request, tenant)
        if isinstance(allowed, Awaitable):
            return _once_allowed(tenant, allowed)
        return _if_allowed(tenant, allowed)


class trusted_header(_Claimed):  # noqa: N801  # used as a function
    """Takes the tenant's name from a header, which a caller could set to anything.

    Args:
        name: the header's name.
        authorize: called with the request and the name that was claimed, or its dotted path; says
            whether whoever was authenticated may act for that tenant. `PermissionDenied`
            otherwise.
    """

    def __init__(self, name: str, *, authorize: Authorize | str) -> None:
        super().__init__(authorize)
        self._name = name

    def claimed(self, request: HttpRequest) -> str | None:
        headers: Any = request.headers
        found: str | None = headers.get(self._name)
        return found


class subdomain(_Claimed):  # noqa: N801  # used as a function
    """Takes the tenant's name from the host: `acme` of `acme.example.com`.

    Args:
        domain: what follows the name, `"example.com"`; `ALLOWED_HOSTS` has to allow
            `".example.com"`.
        authorize: see `trusted_header`.
    """

    def __init__(self, domain: str, *, authorize: Authorize | str) -> None:
        super().__init__(authorize)
        self._suffix = f".{domain.strip('.').lower()}"

    def claimed(self, request: HttpRequest) -> str | None:
        host = request.get_host().lower().partition(":")[0].rstrip(".")
        label = host.removesuffix(self._suffix)
        return None if label == host or "." in label else label


def _if_allowed(tenant: str, allowed: object) -> str:
    if allowed is not True:
        raise TenantNotAllowed
    return tenant


async def _once_allowed(tenant: str, allowed: Awaitable[bool]) -> str:
    return _if_allowed(tenant, await allowed)


def _followed(user: Any, path: str) -> object:
    found = user
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except ObjectDoesNotExist:
            raise
        except AttributeError as error:
            # Not as it is: a property that raises it looks as if it were not there itself.
            raise ImproperlyConfigured(f"from_user({path!r}): {error}") from error
        if found is None:
            return None
    return found


_NO_USER = (
    "from_user() needs request.user: put"
    " 'django.contrib.auth.middleware.AuthenticationMiddleware' into MIDDLEWARE"
)
_NOT_AUTHORIZED = (
    "authorize has to be a callable that takes the request and the tenant's name, or its dotted"
    " path: without one, anybody could name any tenant"
)
