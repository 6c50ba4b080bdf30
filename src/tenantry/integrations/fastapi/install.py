"""tenantry comes into an application: registry, resolver, answers, probes."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tenantry.integrations.fastapi.answers import answer_errors
from tenantry.integrations.fastapi.installation import Installation, installation_of
from tenantry.integrations.fastapi.middleware import TenancyMiddleware
from tenantry.integrations.fastapi.probes import probes as probe_routes
from tenantry.integrations.fastapi.routes import Routes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Mapping

    from fastapi import FastAPI

    from tenantry.integrations.fastapi.installation import Opened, Resolver
    from tenantry.registry import ClientRegistry


def install(
    app: FastAPI,
    config: Opened = None,
    *,
    tenant: Resolver | None = None,
    environ: Mapping[str, str] | None = None,
    unknown: int = HTTPStatus.NOT_FOUND,
    probes: bool = False,
) -> None:
    """Give an application's endpoints, and those of what is mounted in it, clients of tenants.

    The registry is opened before the application's own lifespan begins and closed after it ends.
    Routes may be declared before or after.

    Args:
        app: the application that the server runs, which is the outermost one.
        config: what `ClientRegistry.open` takes; or a registry, which is used and left open.
        tenant: whose request is it? A dependency that returns a tenant's name, or None where the
            request names none: `claim(...)`, `trusted_header(...)`, or one of the application's.
        environ: as for `ClientRegistry.open`.
        unknown: what is answered for a tenant that nobody knows: 404, or 403, which tells less to
            who guesses names.
        probes: whether to answer `/livez` and `/readyz`.

    Raises:
        RuntimeError: it was installed before, or serves already.
        TypeError: `tenant` is no dependency.
        ValueError: `unknown` is something else.
    """
    _check(app, tenant, unknown)
    installation = Installation(app, config, tenant, environ=environ, unknown=HTTPStatus(unknown))
    routes = Routes(installation)
    app.state.tenantry = installation
    app.add_middleware(TenancyMiddleware, installation=installation, routes=routes)
    answer_errors(app)
    _begin_with(app, installation)
    _describe(app, routes)
    if probes:
        app.include_router(probe_routes(installation))


def registry_of(app: FastAPI) -> ClientRegistry:
    """Return the registry of an application, for its lifespan and for what runs beside requests.

    Raises:
        RuntimeError: tenantry is not installed in it, or its lifespan did not run.
    """
    return installation_of(app).registry


@contextmanager
def use_registry(app: FastAPI, registry: ClientRegistry) -> Generator[ClientRegistry]:
    """Serve an application with another registry inside the block, for tests.

    Its configuration is not read when its lifespan begins inside the block.
    """
    with installation_of(app).replaced(registry):
        yield registry


def _check(app: FastAPI, tenant: Resolver | None, unknown: int) -> None:
    if hasattr(app.state, "tenantry"):
        raise RuntimeError("tenantry is installed in this application already")
    if app.middleware_stack is not None:
        raise RuntimeError("this application serves already: call install() where it is made")
    if tenant is not None and not callable(tenant):
        kind = type(tenant).__name__
        raise TypeError(f"tenant= takes a dependency that returns a tenant's name, not a {kind}")
    if unknown not in (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN):
        raise ValueError(f"unknown= takes 404 or 403, not {unknown}")


def _begin_with(app: FastAPI, installation: Installation) -> None:
    within = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[Any]:
        async with installation.opened(), within(app) as state:
            yield state

    app.router.lifespan_context = lifespan


def _describe(app: FastAPI, routes: Routes) -> None:
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        routes.bind()
        return describe()

    app.openapi = openapi  # type: ignore[method-assign]  # as FastAPI documents it
