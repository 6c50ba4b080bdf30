"""An application has a registry from the start of its lifespan to the end."""

# No postponed annotations here: FastAPI could not read those of functions inside functions.
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI

from tenantry import ClientRegistry, ConfigError, RegistryClosedError
from tenantry.integrations.fastapi import (
    TenantClient,
    TenantName,
    TenantRegistry,
    install,
    registry_of,
    use_registry,
)


async def lived(app: FastAPI) -> None:
    """Run an application's lifespan, and nothing else."""
    async with app.router.lifespan_context(app):
        pass


async def test_lifespan(config: dict[str, Any]) -> None:
    """The registry is open before the application's own lifespan begins, and after it ended."""
    seen: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[dict[str, int]]:
        seen.append(registry_of(app).client("acme").tenant)  # type: ignore[attr-defined]
        yield {"answer": 42}
        seen.append(registry_of(app).client("globex").tenant)  # type: ignore[attr-defined]

    app = FastAPI(lifespan=lifespan)
    install(app, config, environ={})
    async with app.router.lifespan_context(app) as state:
        assert {"answer": 42} == state

    assert ["acme", "globex"] == seen
    with pytest.raises(RegistryClosedError):
        registry_of(app).client("acme")


async def test_lifespans_of_routers(config: dict[str, Any]) -> None:
    """Lifespans of routers that come later run inside ours too."""
    seen: list[bool] = []

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncGenerator[None]:
        seen.append("acme" in registry_of(app).tenants)
        yield

    app = FastAPI()
    install(app, config, environ={})
    app.include_router(APIRouter(lifespan=lifespan))
    await lived(app)

    assert [True] == seen


async def test_lives_again(config: dict[str, Any]) -> None:
    """Each lifespan has a registry of its own."""
    app = FastAPI()
    install(app, config, environ={})
    found = []
    for _ in range(2):
        async with app.router.lifespan_context(app):
            found.append(registry_of(app))

    assert found[0] is not found[1]


async def test_open_registry(registry: ClientRegistry) -> None:
    """A registry that somebody else opened is used, and left open."""
    app = FastAPI()
    install(app, registry)
    await lived(app)

    assert registry is registry_of(app)
    assert registry.client("acme") is registry.client("acme")


async def test_broken_configuration() -> None:
    """An application whose configuration is wrong does not start."""
    app = FastAPI()
    install(app, {"tenents": {}}, environ={})
    with pytest.raises(ConfigError, match="tenents"):
        await lived(app)


async def test_use_registry(registry: ClientRegistry) -> None:
    """A test's registry takes the place of the configured one, which is not even opened."""
    app = FastAPI()
    install(app, "/nowhere/tenants.yaml")
    with use_registry(app, registry) as used:
        await lived(app)
        assert registry is used is registry_of(app)

    with pytest.raises(RuntimeError, match="lifespan, which did not run"):
        registry_of(app)


def test_routes_before_and_after(serve: Any, registry: ClientRegistry, resolver: Any) -> None:
    """Endpoints are served whether they were declared before `install` or after it."""
    app, router = FastAPI(), APIRouter(prefix="/router")

    @app.get("/before")
    async def before(name: TenantName) -> str:
        return name

    install(app, registry, tenant=resolver)

    @router.get("/after")
    async def after(name: TenantName) -> str:
        return name

    app.include_router(router)
    served = serve(app)

    assert "acme" == served.json("/before", "acme")
    assert "acme" == served.json("/router/after", "acme")


def test_routes_while_it_serves(serve: Any, registry: ClientRegistry, resolver: Any) -> None:
    """Endpoints that come while the application serves are served, in included routers too."""
    app, router = FastAPI(), APIRouter()
    install(app, registry, tenant=resolver)

    @router.get("/first")
    async def first(name: TenantName) -> str:
        return name

    app.include_router(router)
    served = serve(app)
    assert "acme" == served.json("/first", "acme")

    @app.get("/second")
    async def second(name: TenantName) -> str:
        return name

    router.add_api_route("/third", second)
    assert "globex" == served.json("/first", "globex")
    assert "globex" == served.json("/second", "globex")
    assert served.get("/third", "globex").status_code in {200, 404}  # older ones are copies


def test_sub_application(serve: Any, config: dict[str, Any], resolver: Any) -> None:
    """What is mounted is served with the registry and the resolver of what it is mounted in."""
    app, inner = FastAPI(), FastAPI()

    @inner.get("/key")
    async def key(client: TenantClient, registry: TenantRegistry, name: TenantName) -> bool:
        return client is registry.async_client(name)

    app.mount("/inner", inner)
    install(app, config, tenant=resolver, environ={})
    served = serve(app)

    assert served.json("/inner/key", "acme") is True
    refused = served.get("/inner/key", "nobody")
    assert (404, "There is no such tenant.") == (refused.status_code, refused.json()["detail"])


def test_installed_twice(registry: ClientRegistry) -> None:
    """A second `install` would serve nobody, and is refused."""
    app = FastAPI()
    install(app, registry)
    with pytest.raises(RuntimeError, match="installed in this application already"):
        install(app, registry)


def test_installed_too_late(serve: Any, registry: ClientRegistry) -> None:
    """An application that serves takes no more middleware; what was there stays as it is."""
    app = FastAPI()
    serve(app).get("/")
    with pytest.raises(RuntimeError, match="serves already: call install"):
        install(app, registry)
    assert not hasattr(app.state, "tenantry")


def test_wrong_arguments(registry: ClientRegistry) -> None:
    """What cannot be meant is refused when the application is made."""
    with pytest.raises(TypeError, match="takes a dependency that returns a tenant's name, not"):
        install(FastAPI(), registry, tenant="acme")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="takes 404 or 403, not 418"):
        install(FastAPI(), registry, unknown=418)


def test_not_installed() -> None:
    """Without `install` there is no registry, and who asks for it is told what to do."""
    with pytest.raises(RuntimeError, match="call install"):
        registry_of(FastAPI())


def test_without_fastapi() -> None:
    """Where FastAPI is not installed, the error says which package brings it."""
    code = "import sys; sys.modules['fastapi'] = None; import tenantry.integrations.fastapi"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert "MissingExtraError" in done.stderr
    assert "pip install 'tenantry[fastapi]'" in done.stderr
