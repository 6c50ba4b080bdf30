"""What endpoints ask for: the request's tenant, its clients, the registry."""

# No postponed annotations here: FastAPI could not read those of functions inside functions.
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import Depends
from fastapi.dependencies.utils import get_dependant, solve_dependencies
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.requests import HTTPConnection
from fastapi.websockets import WebSocket
from openai import AsyncOpenAI, OpenAI
from typing_extensions import Unpack

from tenantry.clients import ClientOptions, checked
from tenantry.errors import TenantryError
from tenantry.integrations.fastapi.answers import NoTenantNamedError
from tenantry.integrations.fastapi.installation import Resolver, serving
from tenantry.registry import ClientRegistry


async def resolved(connection: HTTPConnection) -> object:
    """Return what the application's resolver returns.

    In the endpoints that an application serves, its resolver itself stands here, see `routes`. It
    is asked from here where FastAPI looked at an endpoint anew: under `dependency_overrides`, and
    for routes that were added to an included router later.

    Raises:
        RuntimeError: `install` was given none, or does not see the application that serves this.
    """
    here = serving(connection)
    if TenantryError not in connection.scope["app"].exception_handlers:
        raise RuntimeError(_HIDDEN)
    resolver = here.installation.resolver
    if resolver is None:
        raise RuntimeError(_NO_RESOLVER)
    solved = await solve_dependencies(
        request=connection,  # type: ignore[arg-type]  # FastAPI passes the request or WebSocket
        dependant=get_dependant(path=_path(connection), call=_asking(resolver)),
        dependency_overrides_provider=connection.scope["app"],
        async_exit_stack=here.stack,
        embed_body_fields=False,
    )
    if solved.errors:
        is_websocket = isinstance(connection, WebSocket)
        wrong = WebSocketRequestValidationError if is_websocket else RequestValidationError
        raise wrong(solved.errors)
    return solved.values["name"]


async def tenant_name(
    connection: HTTPConnection, name: Annotated[object, Depends(resolved)]
) -> str:
    """Return the name of the request's tenant, which is the current one from here on.

    Raises:
        TenantryError: the request names none, or the tenant cannot be served.
    """
    if not name:
        raise NoTenantNamedError
    if not isinstance(name, str):
        raise TypeError(f"a resolver returns a tenant's name or None, not a {type(name).__name__}")
    here = serving(connection)
    await here.installation.registry.aload(name)
    here.enter(name)
    return name


async def tenant_registry(connection: HTTPConnection) -> ClientRegistry:
    """Return the application's registry."""
    return serving(connection).installation.registry


TenantName = Annotated[str, Depends(tenant_name)]
TenantRegistry = Annotated[ClientRegistry, Depends(tenant_registry)]


def tenant_client(
    *, endpoint: str | None = None, **options: Unpack[ClientOptions]
) -> Callable[..., Awaitable[AsyncOpenAI]]:
    """Return a dependency: the tenant's `AsyncOpenAI` with these options.

    Args:
        endpoint: one of the tenant's `endpoints`; None is the tenant's own address.
        **options: see `ClientOptions`; times in seconds.

    Raises:
        OptionNotAllowedError: an option is unknown, or could move a credential.
    """
    checked(options)

    async def client(connection: HTTPConnection, name: TenantName) -> AsyncOpenAI:
        registry = serving(connection).installation.registry
        return registry.async_client(name, endpoint=endpoint, **options)

    return client


def sync_tenant_client(
    *, endpoint: str | None = None, **options: Unpack[ClientOptions]
) -> Callable[..., Awaitable[OpenAI]]:
    """Return a dependency: the tenant's `OpenAI` with these options; see `tenant_client`."""
    checked(options)

    # Asynchronous nonetheless: it waits for nothing, and saves the way to a thread.
    async def client(connection: HTTPConnection, name: TenantName) -> OpenAI:
        registry = serving(connection).installation.registry
        return registry.client(name, endpoint=endpoint, **options)

    return client


TenantClient = Annotated[AsyncOpenAI, Depends(tenant_client())]
SyncTenantClient = Annotated[OpenAI, Depends(sync_tenant_client())]


def _asking(resolver: Resolver) -> Callable[..., None]:
    def asking(name: Annotated[Any, Depends(resolver)]) -> None:
        """Have FastAPI call the resolver as it calls any dependency."""

    return asking


def _path(connection: HTTPConnection) -> str:
    """Tell FastAPI which names are parameters of the path."""
    return "".join(f"/{{{name}}}" for name in connection.path_params)


_NO_RESOLVER = (
    "nobody says whose request it is: pass install(..., tenant=...) a dependency that returns the"
    " tenant's name, such as claim(current_user, 'tenant')"
)
_HIDDEN = (
    "an application is mounted behind something that hides it, so that its errors would be answered"
    " 500: let what wraps it hold it as `app`, as Starlette's middleware does, or add the wrapper"
    " with app.add_middleware(...) to the application itself"
)
