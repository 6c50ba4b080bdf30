"""A request's current tenant ends with its response."""

# No postponed annotations here: FastAPI could not read those of functions inside functions.
from typing import Any

import pytest
from fastapi import FastAPI, Request

from tenantry import ClientRegistry, NoCurrentTenantError, current_tenant, use_tenant
from tenantry.integrations.fastapi import TenantName, install


@pytest.fixture
def app(registry: ClientRegistry, resolver: Any) -> FastAPI:
    app = FastAPI()
    install(app, registry, tenant=resolver)

    @app.get("/")
    async def endpoint(name: TenantName) -> list[str]:
        return [name, current_tenant()]

    @app.get("/broken")
    async def broken(name: TenantName) -> None:
        raise ZeroDivisionError(name)

    return app


async def call(app: FastAPI, path: str, tenant: str) -> bytes:
    """Call an application in this very task, as test clients do."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"x-tenant", tenant.encode())]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
    await app(scope, receive, send)
    body: bytes = sent[-1]["body"]
    return body


async def test_ends(app: FastAPI) -> None:
    """Who called the application has no current tenant of its."""
    assert b'["acme","acme"]' == await call(app, "/", "acme")
    with pytest.raises(NoCurrentTenantError):
        current_tenant()


async def test_ends_with_an_error(app: FastAPI) -> None:
    """An endpoint that fails leaves no current tenant either."""
    with pytest.raises(ZeroDivisionError):
        await call(app, "/broken", "acme")
    with pytest.raises(NoCurrentTenantError):
        current_tenant()


async def test_what_was_current_is_again(app: FastAPI) -> None:
    """What was current before is so afterwards."""
    with use_tenant("initech"):
        assert b'["globex","globex"]' == await call(app, "/", "globex")
        assert "initech" == current_tenant()


def test_within_other_middleware(serve: Any, app: FastAPI) -> None:
    """A middleware that runs endpoints in tasks of its own takes the tenant from nobody."""

    @app.middleware("http")
    async def other(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    served = serve(app)
    for tenant in ("acme", "globex"):
        assert [tenant, tenant] == served.json("/", tenant)
