"""Whose request is it? Ordinary dependencies that return a tenant's name.

Those that believe what the request itself says have to be told who may act for that tenant.
"""

# No postponed annotations here: FastAPI could not read those of functions inside functions.
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, TypeAlias

from fastapi import Depends, Header, Path
from fastapi.requests import HTTPConnection

from tenantry.integrations.fastapi.answers import NotAuthorizedError, NoTenantNamedError
from tenantry.integrations.fastapi.installation import serving

Claimed: TypeAlias = Callable[..., Awaitable[str | None]]


async def claimed_tenant(connection: HTTPConnection) -> str:
    """Return the name that the request claims; for the dependency that authorizes it.

    Raises:
        RuntimeError: the request claims none, or somebody else asks.
    """
    claimed = serving(connection).claimed
    if claimed is None:
        raise RuntimeError("ClaimedTenant is for the dependency that is given as `authorize=` only")
    return claimed


ClaimedTenant = Annotated[str, Depends(claimed_tenant)]


def claim(dependency: Callable[..., Any], key: str | Callable[[Any], str | None]) -> Claimed:
    """Take the name from what the application's own authentication returned.

    Args:
        dependency: the authentication, a dependency.
        key: the name's key in the mapping, or attribute of the object, that it returned; or a
            function that takes the name out of it. None names no tenant.
    """

    async def resolved(principal: Annotated[Any, Depends(dependency)]) -> str | None:
        if principal is None:  # nobody, where logging in is optional
            return None
        return key(principal) if callable(key) else _value(principal, key)

    return resolved


def trusted_header(name: str, *, authorize: Callable[..., Any] | None = None) -> Claimed:
    """Take the name from a header; one that is sent twice names no tenant.

    Args:
        name: the header.
        authorize: a dependency that returns whether the caller may act for that `ClaimedTenant`.

    Raises:
        TypeError: nobody authorizes.
    """

    async def claimed(
        connection: HTTPConnection, value: Annotated[str | None, Header(alias=name)] = None
    ) -> str | None:
        return value if len(connection.headers.getlist(name)) == 1 else None

    return _authorized(claimed, authorize, f"trusted_header({name!r})")


def subdomain(domain: str, *, authorize: Callable[..., Any] | None = None) -> Claimed:
    """Take the name from the host: `acme.example.com` is acme's, in lower case.

    Args:
        domain: what stands behind the name, such as `example.com`.
        authorize: a dependency that returns whether the caller may act for that `ClaimedTenant`.

    Raises:
        TypeError: nobody authorizes.
    """
    suffix = f".{domain.strip('.').lower()}"

    async def claimed(connection: HTTPConnection) -> str | None:
        host = connection.headers.get("host", "").partition(":")[0].lower()
        label = host.removesuffix(suffix)
        return label if label != host and "." not in label else None

    return _authorized(claimed, authorize, f"subdomain({domain!r})")


def path(name: str, *, authorize: Callable[..., Any] | None = None) -> Claimed:
    """Take the name from a parameter of the path, of the route or of where it is mounted.

    Args:
        name: the parameter, such as `tenant` in `/t/{tenant}/ask`.
        authorize: a dependency that returns whether the caller may act for that `ClaimedTenant`.

    Raises:
        TypeError: nobody authorizes.
    """

    async def claimed(value: Annotated[str, Path(alias=name)]) -> str | None:
        return value

    return _authorized(claimed, authorize, f"path({name!r})")


def _authorized(claimed: Claimed, authorize: Callable[..., Any] | None, said: str) -> Claimed:
    if authorize is None:
        raise TypeError(_UNAUTHORIZED.format(said))

    async def remembered(
        connection: HTTPConnection, name: Annotated[str | None, Depends(claimed)]
    ) -> str:
        if not name:
            raise NoTenantNamedError
        serving(connection).claimed = name
        return name

    async def resolved(
        name: Annotated[str, Depends(remembered)],
        allowed: Annotated[object, Depends(authorize)],
    ) -> str:
        if not isinstance(allowed, bool):
            raise TypeError(f"`authorize` of {said} has to return True or False")
        if not allowed:
            raise NotAuthorizedError(name)
        return name

    return resolved


def _value(principal: Any, key: str) -> Any:
    return principal.get(key) if isinstance(principal, Mapping) else getattr(principal, key)


_UNAUTHORIZED = (
    "{} believes what the request says, and anybody can say anything: pass authorize=, a"
    " dependency that returns whether the caller may act for that tenant, such as"
    " `def may_act(tenant: ClaimedTenant, user: CurrentUser) -> bool`"
)
