"""Endpoints that ask for a tenant ask the application's resolver, and are described so."""

# No postponed annotations here: FastAPI could not read those of functions inside functions.
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Security
from fastapi.security import HTTPBearer
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Router

from tenantry import ClientRegistry
from tenantry.integrations.fastapi import (
    TenantClient,
    TenantName,
    claim,
    install,
    trusted_header,
)

PROBLEM = "application/problem+json"
bearer = HTTPBearer()


async def user(token: Annotated[Any, Security(bearer)]) -> dict[str, str]:
    return {"tenant": token.credentials}


def made(registry: ClientRegistry, resolver: Any, **options: Any) -> FastAPI:
    app, router = FastAPI(), APIRouter(prefix="/router")

    @app.get("/plain")
    async def plain() -> None: ...

    async def service(client: TenantClient) -> TenantClient:
        return client

    @router.get("/own", responses={404: {"description": "No such question."}})
    async def own(service: Annotated[Any, Depends(service)]) -> None: ...

    @app.get("/direct")
    async def direct(name: TenantName) -> None: ...

    app.include_router(router)
    install(app, registry, tenant=resolver, **options)
    return app


def responses(app: FastAPI, path: str) -> dict[str, Any]:
    found: dict[str, Any] = app.openapi()["paths"][path]["get"]["responses"]
    return found


def test_problems_are_described(registry: ClientRegistry) -> None:
    """Endpoints that ask for a tenant describe our answers, those of routers too."""
    app = made(registry, claim(user, "tenant"))

    assert {"200"} == responses(app, "/plain").keys()
    for path in ("/direct", "/router/own"):
        found = responses(app, path)
        assert {"400", "403", "404", "503"} <= found.keys()
        assert "object" == found["503"]["content"][PROBLEM]["schema"]["type"]
    assert "No such question." == responses(app, "/router/own")["404"]["description"]


def test_unknown_as_forbidden_is_described(registry: ClientRegistry) -> None:
    """Where 404 is never answered it is not described."""
    app = made(registry, claim(user, "tenant"), unknown=403)
    assert {"200", "400", "403", "503"} == responses(app, "/direct").keys()


def test_authentication_is_described(registry: ClientRegistry) -> None:
    """What the resolver asks for is described as if the endpoint had asked itself."""
    app = made(registry, claim(user, "tenant"))
    assert [{"HTTPBearer": []}] == app.openapi()["paths"]["/direct"]["get"]["security"]
    assert "security" not in app.openapi()["paths"]["/plain"]["get"]


def test_headers_are_described(registry: ClientRegistry) -> None:
    """The header that a resolver trusts is among the endpoint's parameters."""
    app = made(registry, trusted_header("X-Tenant", authorize=lambda: True))
    parameters = app.openapi()["paths"]["/router/own"]["get"]["parameters"]
    assert ["X-Tenant"] == [parameter["name"] for parameter in parameters]


def test_without_a_resolver(registry: ClientRegistry) -> None:
    """An application that says of nobody whose request it is is described nonetheless."""
    assert {"200"} == responses(made(registry, None), "/direct").keys()


def test_router_of_two_applications(serve: Any, registry: ClientRegistry) -> None:
    """A router that two applications include asks each one's own resolver."""
    router = APIRouter()

    @router.get("/")
    async def endpoint(name: TenantName) -> str:
        return name

    async def acme() -> str:
        return "acme"

    async def globex() -> str:
        return "globex"

    found = []
    for resolver in (acme, globex):
        app = FastAPI()
        app.include_router(router, prefix="/ask")
        install(app, registry, tenant=resolver)
        found.append(serve(app))

    assert ["acme", "globex", "acme"] == [each.json("/ask/") for each in (*found, found[0])]


def test_mounted_in_two_applications(serve: Any, registry: ClientRegistry, resolver: Any) -> None:
    """An application mounted in two would ask the wrong resolver: refused for as long as it is."""
    inner = FastAPI()

    @inner.get("/")
    async def endpoint(name: TenantName) -> str:
        return name

    served = []
    for _ in range(2):
        app = FastAPI()
        app.mount("/inner", inner)
        install(app, registry, tenant=resolver)
        served.append(serve(app))

    assert "acme" == served[0].json("/inner/", "acme")
    for _ in range(2):
        assert "mounted in two others" in served[1].mistake("/inner/", "acme")


def test_routes_of_two_applications(serve: Any, registry: ClientRegistry, resolver: Any) -> None:
    """Routes that two applications share would ask the first one's resolver: refused."""

    async def globex() -> str:
        return "globex"

    first = FastAPI()

    @first.get("/")
    async def endpoint(name: TenantName) -> str:
        return name

    second, third = FastAPI(routes=first.routes), FastAPI(routes=first.routes)
    install(first, registry, tenant=globex)
    install(second, registry, tenant=resolver)
    install(third, registry)

    assert "globex" == serve(first).json("/", "acme")
    for other in (second, third):
        assert "let each include_router() it" in serve(other).mistake("/", "acme")


class Wrapper:
    """Middleware of a user's own, with the application in `app` as Starlette's have it."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def inner_application() -> FastAPI:
    inner = FastAPI()

    @inner.get("/")
    async def endpoint(name: TenantName) -> str:
        return name

    return inner


def within_middleware(inner: FastAPI) -> Any:
    return Wrapper(Wrapper(inner))


def within_starlette(inner: FastAPI) -> Any:
    mount = Mount("/", inner, middleware=[Middleware(Wrapper)])
    return Starlette(routes=[mount], middleware=[Middleware(Wrapper)])


def within_a_router(inner: FastAPI) -> Any:
    return Router(routes=[Mount("/", Wrapper(inner))])


@pytest.mark.parametrize("wrapped", [within_middleware, within_starlette, within_a_router])
def test_mounted_within(
    serve: Any, registry: ClientRegistry, resolver: Any, wrapped: Callable[[FastAPI], Any]
) -> None:
    """What is mounted is served, and answers our errors, whatever stands around it."""
    app = FastAPI()
    app.mount("/inner", wrapped(inner_application()))
    install(app, registry, tenant=resolver)
    served = serve(app)

    assert "acme" == served.json("/inner/", "acme")
    refused = served.get("/inner/", "nobody")
    assert (404, PROBLEM) == (refused.status_code, refused.headers["Content-Type"])


def test_mounted_out_of_sight(serve: Any, registry: ClientRegistry, resolver: Any) -> None:
    """An application whose errors nobody could answer serves no tenant, and says what to do."""
    app, inner = FastAPI(), inner_application()

    async def hiding(scope: Any, receive: Any, send: Any) -> None:
        await inner(scope, receive, send)

    app.mount("/inner", hiding)
    install(app, registry, tenant=resolver)

    assert "let what wraps it hold it as `app`" in serve(app).mistake("/inner/", "acme")


def test_installed_and_mounted(serve: Any, registry: ClientRegistry, resolver: Any) -> None:
    """A mounted application with a registry of its own asks its own resolver."""
    outer, inner = FastAPI(), FastAPI()

    @inner.get("/")
    async def endpoint(name: TenantName) -> str:
        return name

    async def globex() -> str:
        return "globex"

    install(inner, registry, tenant=globex)
    outer.mount("/inner", inner)
    install(outer, registry, tenant=resolver)

    assert "globex" == serve(outer).json("/inner/", "acme")


@pytest.mark.parametrize("path", ["/openapi.json", "/docs"])
def test_description_is_served(serve: Any, registry: ClientRegistry, path: str) -> None:
    """The application's own pages are served as before."""
    assert 200 == serve(made(registry, claim(user, "tenant"))).get(path).status_code
