"""Endpoints get the request's tenant and its clients, by whatever way they ask."""

# No postponed annotations here: FastAPI could not read those of functions inside functions.
import asyncio
import threading
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, Query
from fastapi.responses import StreamingResponse
from openai import AsyncOpenAI, OpenAI

from tenantry import ClientRegistry, OptionNotAllowedError, current_tenant
from tenantry.integrations.fastapi import (
    SyncTenantClient,
    TenantClient,
    TenantName,
    TenantRegistry,
    claim,
    install,
    sync_tenant_client,
    tenant_client,
    tenant_name,
)
from tenantry.testing import OpenAIServer

CHAT: dict[str, Any] = {"model": "gpt-5", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def app(registry: ClientRegistry, resolver: Any) -> FastAPI:
    app = FastAPI()
    install(app, registry, tenant=resolver)
    return app


def test_clients(serve: Any, app: FastAPI, openai_server: OpenAIServer) -> None:
    """Both kinds of client send the tenant's own key."""

    @app.get("/async")
    async def asynchronous(client: TenantClient) -> str:
        return (await client.models.list()).object

    @app.get("/sync")
    def synchronous(client: SyncTenantClient) -> str:
        return client.models.list().object

    served = serve(app)
    for path in ("/async", "/sync"):
        for tenant in ("acme", "globex"):
            assert "list" == served.json(path, tenant)
            assert tenant == openai_server.requests[-1].tenant


def test_options(serve: Any, app: FastAPI) -> None:
    """A dependency with options hands out clones, at the endpoint that it names."""
    fast = Depends(tenant_client(timeout=5, max_retries=3))
    eu = Depends(sync_tenant_client(endpoint="eu", timeout=6))

    @app.get("/")
    async def options(
        one: Annotated[AsyncOpenAI, fast], two: Annotated[OpenAI, eu], plain: TenantClient
    ) -> list[Any]:
        return [one.timeout, one.max_retries, two.timeout, two.max_retries, plain.max_retries]

    assert [5, 3, 6, 7, 0] == serve(app).json("/", "acme")


@pytest.mark.parametrize("declare", [tenant_client, sync_tenant_client])
def test_wrong_options(declare: Any) -> None:
    """An option that could move a credential is refused when the endpoint is declared."""
    with pytest.raises(OptionNotAllowedError, match="'base_url' could move"):
        declare(base_url="http://127.0.0.1")
    with pytest.raises(OptionNotAllowedError, match="'tiemout' is unknown"):
        declare(tiemout=5)


def test_unknown_endpoint(serve: Any, app: FastAPI) -> None:
    """An endpoint that the tenant does not have is a mistake of the application."""

    @app.get("/")
    async def there(client: Annotated[AsyncOpenAI, Depends(tenant_client(endpoint="us"))]) -> str:
        return str(client.base_url)

    assert "has no endpoint 'us': it has eu" in serve(app).mistake("/", "acme")


def test_name_and_registry(serve: Any, app: FastAPI, registry: ClientRegistry) -> None:
    """An endpoint may ask for the name alone, and for the registry without a tenant."""

    @app.get("/name")
    async def name(name: TenantName) -> str:
        return name

    @app.get("/registry")
    async def same(found: TenantRegistry) -> bool:
        return found is registry

    served = serve(app)
    assert "globex" == served.json("/name", "globex")
    assert served.json("/registry") is True


def test_current_tenant(serve: Any, app: FastAPI) -> None:
    """The request's tenant is current in endpoints of both kinds, and what they call."""

    async def service() -> str:
        return await asyncio.to_thread(current_tenant)

    @app.get("/async", dependencies=[Depends(tenant_name)])
    async def asynchronous() -> list[str]:
        return [current_tenant(), await service()]

    @app.get("/sync", dependencies=[Depends(tenant_name)])
    def synchronous() -> list[str]:
        return [current_tenant()]

    served = serve(app)
    assert ["acme", "acme"] == served.json("/async", "acme")
    assert ["globex"] == served.json("/sync", "globex")


def test_tenants_at_once(serve: Any, app: FastAPI, openai_server: OpenAIServer) -> None:
    """Requests of several tenants at the same time keep each other's tenant and key apart."""

    @app.get("/{number}")
    async def endpoint(number: int, client: TenantClient, name: TenantName) -> list[str]:
        await client.with_options(default_headers={"X-Asked-For": name}).models.list()
        return [name, current_tenant()]

    served = serve(app)
    with ThreadPoolExecutor(8) as threads:
        tenants = ["acme", "globex"] * 40
        found = list(threads.map(served.json, map("/{}".format, range(80)), tenants))

    assert [[tenant, tenant] for tenant in tenants] == found
    sent = [(each.tenant, each.header["x-asked-for"]) for each in openai_server.requests]
    assert {("acme", "acme"), ("globex", "globex")} == set(sent)


def test_background_tasks(serve: Any, app: FastAPI, openai_server: OpenAIServer) -> None:
    """Background tasks run with the request's tenant, and with a client that works."""
    done: list[str] = []
    over = threading.Event()

    async def work(client: AsyncOpenAI) -> None:
        await client.models.list()
        done.append(current_tenant())

    def sync_work() -> None:
        done.append(current_tenant())
        over.set()

    @app.get("/")
    async def begin(client: TenantClient, tasks: BackgroundTasks) -> None:
        tasks.add_task(work, client)
        tasks.add_task(sync_work)

    serve(app).json("/", "acme")
    assert over.wait(30)
    assert ["acme", "acme"] == done
    assert "acme" == openai_server.requests[-1].tenant


def test_stream(serve: Any, app: FastAPI, registry: ClientRegistry) -> None:
    """A stream outlives the dependency, an eviction and the endpoint; its tenant stays current."""

    @app.get("/")
    async def stream(client: TenantClient) -> StreamingResponse:
        chunks = await client.chat.completions.create(**CHAT, stream=True)

        async def text() -> AsyncGenerator[str]:
            registry.evict("acme")
            async for chunk in chunks:
                yield chunk.choices[0].delta.content or "" if chunk.choices else ""
            yield f" for {current_tenant()}"

        return StreamingResponse(text())

    assert "Hello from tenantry. for acme" == serve(app).get("/", "acme").text


def test_server_sent_events(serve: Any, app: FastAPI) -> None:
    """A generator that begins after the dependencies are over still has the tenant's client."""

    async def events(client: AsyncOpenAI) -> AsyncGenerator[str]:
        async with client.chat.completions.stream(**CHAT) as stream:
            async for event in stream:
                if event.type == "content.delta":
                    yield f"data: {event.delta}\n\n"
        yield f"data: {current_tenant()}\n\n"

    @app.get("/")
    async def subscribe(client: TenantClient) -> StreamingResponse:
        return StreamingResponse(events(client), media_type="text/event-stream")

    text = serve(app).get("/", "globex").text
    assert "Hello from tenantry." == "".join(
        line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")
    ).removesuffix("globex")


def test_no_thread(serve: Any, app: FastAPI) -> None:
    """Clients of both kinds are handed out on the event loop's own thread."""
    threads = set()
    seen = app.state.tenantry.registry

    def watched(method: Callable[..., Any]) -> Callable[..., Any]:
        def on_thread(*args: Any, **options: Any) -> Any:
            threads.add(threading.get_ident())
            return method(*args, **options)

        return on_thread

    @app.get("/")
    async def endpoint(one: TenantClient, two: SyncTenantClient) -> bool:
        assert one is not two  # type: ignore[comparison-overlap]
        return {threading.get_ident()} == threads

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seen, "client", watched(seen.client))
        patch.setattr(seen, "async_client", watched(seen.async_client))
        assert serve(app).json("/", "acme") is True


class Login:
    """An application's authentication, which counts."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, user: Annotated[str, Query()]) -> dict[str, str]:
        self.count += 1
        return {"tenant": user}


def test_asked_once(serve: Any, registry: ClientRegistry) -> None:
    """The authentication that the endpoint asks for too runs once in a request."""
    app, login = FastAPI(), Login()
    install(app, registry, tenant=claim(login, "tenant"))

    @app.get("/")
    async def endpoint(
        user: Annotated[dict[str, str], Depends(login)], one: TenantClient, two: SyncTenantClient
    ) -> list[str]:
        return [user["tenant"], one.tenant, two.tenant]  # type: ignore[attr-defined]

    assert ["acme", "acme", "acme"] == serve(app).json("/?user=acme")
    assert 1 == login.count


def test_authentication_comes_first(serve: Any, registry: ClientRegistry) -> None:
    """Who is not authenticated is told so by the application itself, for sockets and requests."""
    app, login = FastAPI(), Login()
    install(app, registry, tenant=claim(login, "tenant"))

    @app.get("/")
    async def endpoint(name: TenantName) -> str:
        return name

    refused = serve(app).get("/")
    assert (422, ["query", "user"]) == (refused.status_code, refused.json()["detail"][0]["loc"])


def test_overrides(serve: Any, registry: ClientRegistry) -> None:
    """A test's `dependency_overrides` reach the resolver's own dependencies."""
    app, login = FastAPI(), Login()
    install(app, registry, tenant=claim(login, "tenant"))

    async def service(client: TenantClient) -> str:
        return client.tenant  # type: ignore[attr-defined, no-any-return]

    @app.get("/{part}")
    async def endpoint(
        part: str, name: TenantName, of_service: Annotated[str, Depends(service)]
    ) -> list[str]:
        return [part, name, of_service, current_tenant()]

    app.dependency_overrides[login] = lambda: {"tenant": "globex"}
    served = serve(app)
    assert ["x", "globex", "globex", "globex"] == served.json("/x")

    app.dependency_overrides = {str: str}  # of something else
    assert ["x", "acme", "acme", "acme"] == served.json("/x?user=acme")
    assert 422 == served.get("/x").status_code


def test_overrides_of_a_path(serve: Any, registry: ClientRegistry) -> None:
    """Under overrides too, a resolver's parameter that the path has is the path's."""

    async def of_path(tenant: str) -> str:
        return tenant

    app = FastAPI()
    install(app, registry, tenant=of_path)

    @app.get("/{tenant}/name")
    async def endpoint(tenant: str, name: TenantName) -> list[str]:
        return [tenant, name]

    served = serve(app)
    assert ["acme", "acme"] == served.json("/acme/name?tenant=globex")
    app.dependency_overrides = {str: str}  # of something else
    assert ["acme", "acme"] == served.json("/acme/name?tenant=globex")


def test_catalog_is_read_first(
    serve: Any, app: FastAPI, registry: ClientRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenant that the catalog has not read yet is read before a client is made."""
    loaded: list[str] = []

    async def aload(tenant: str) -> None:
        await asyncio.sleep(0)
        loaded.append(tenant)

    monkeypatch.setattr(registry, "aload", aload)

    @app.get("/")
    async def endpoint(client: TenantClient) -> list[str]:
        assert client.tenant == "acme"  # type: ignore[attr-defined]
        return loaded

    assert ["acme"] == serve(app).json("/", "acme")


@pytest.mark.parametrize(
    ("tenant", "told"),
    [
        (None, "nobody says whose request it is"),
        (lambda: 7, "returns a tenant's name or None, not a int"),
    ],
)
def test_wrong_resolvers(serve: Any, registry: ClientRegistry, tenant: Any, told: str) -> None:
    """What cannot say whose request it is is the application's mistake, told in its log."""
    app = FastAPI()
    install(app, registry, tenant=tenant)

    @app.get("/")
    async def endpoint(name: TenantName) -> str:
        return name

    assert told in serve(app).mistake("/")


def test_not_installed(serve: Any) -> None:
    """An endpoint that asks for a client where nothing is installed says what is missing."""
    app = FastAPI()

    @app.get("/")
    async def endpoint(client: TenantClient) -> str:
        return str(client)

    assert "call install(app, config, tenant=...)" in serve(app).mistake("/")


def test_no_lifespan(serve: Any, config: dict[str, Any], resolver: Any) -> None:
    """A mounted application that is installed itself has no lifespan, and says so."""
    app, inner = FastAPI(), FastAPI()
    install(inner, config, tenant=resolver)

    @inner.get("/")
    async def endpoint(client: TenantClient) -> str:
        return str(client)

    app.mount("/inner", inner)
    told = serve(app).mistake("/inner/", "acme")
    assert "lifespan of the outermost application only" in told
