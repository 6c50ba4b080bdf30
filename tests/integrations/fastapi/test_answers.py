"""Our errors become problem+json and close codes, and say nothing of other tenants."""

# No postponed annotations here: FastAPI could not read those of functions inside functions.
import threading
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Header, WebSocket
from fastapi.responses import PlainTextResponse
from openai import OpenAIError
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tenantry import ClientRegistry, TenantryError
from tenantry.integrations.fastapi import (
    SyncTenantClient,
    TenantClient,
    TenantName,
    TenantRegistry,
    install,
    trusted_header,
)

ANSWERS = [
    (None, 400, "Bad Request", "The request names no tenant."),
    ("", 400, "Bad Request", "The request names no tenant."),
    ("hooli", 403, "Forbidden", "The tenant may not be used."),
    ("nobody", 404, "Not Found", "There is no such tenant."),
    ("../acme", 404, "Not Found", "There is no such tenant."),
    ("umbrella", 503, "Service Unavailable", "The tenant cannot be served at the moment."),
]


@pytest.fixture
def app(registry: ClientRegistry, resolver: Any) -> FastAPI:
    app = FastAPI()
    install(app, registry, tenant=resolver)

    @app.get("/")
    async def endpoint(client: TenantClient) -> str:
        return (await client.models.list()).object

    @app.get("/sync")
    def synchronous(client: SyncTenantClient) -> str:
        return client.models.list().object

    return app


@pytest.mark.parametrize(("tenant", "status", "title", "detail"), ANSWERS)
def test_problems(
    serve: Any, app: FastAPI, tenant: str | None, status: int, title: str, detail: str
) -> None:
    """Each error has its status and its fixed words, as RFC 9457 says."""
    reply = serve(app).get("/", tenant)

    assert status == reply.status_code
    assert "application/problem+json" == reply.headers["Content-Type"]
    problem = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    assert problem == reply.json()


def test_unknown_as_forbidden(serve: Any, registry: ClientRegistry, resolver: Any) -> None:
    """Who guesses names may be told no more than that they may not be used."""
    app = FastAPI()
    install(app, registry, tenant=resolver, unknown=403)

    @app.get("/")
    async def endpoint(name: TenantName) -> str:
        return name

    served = serve(app)
    assert 403 == served.get("/", "nobody").status_code
    assert served.get("/", "hooli").text == served.get("/", "nobody").text


@pytest.mark.parametrize("path", ["/", "/sync"])
def test_no_credential(serve: Any, app: FastAPI, path: str) -> None:
    """A tenant whose secret cannot be had is answered 503, with the time when to come again."""
    reply = serve(app).get(path, "initech")

    assert 503 == reply.status_code
    assert "The tenant cannot be served at the moment." == reply.json()["detail"]
    assert int(reply.headers["Retry-After"]) >= 1
    assert "KEY_INITECH" not in reply.text


def test_after_the_end(serve: Any, app: FastAPI, registry: ClientRegistry) -> None:
    """A registry that was closed serves nobody, and says so to orchestrators."""
    served = serve(app)
    registry.close()
    assert 503 == served.get("/", "acme").status_code


def test_own_handlers(serve: Any, registry: ClientRegistry, resolver: Any) -> None:
    """An application's own answer to our errors stays, and the errors say what happened."""

    async def own(_: Any, error: Exception) -> PlainTextResponse:
        return PlainTextResponse(str(error), 418)

    def may_act(x_user: Annotated[str, Header()] = "") -> bool:
        return bool(x_user)

    app = FastAPI(exception_handlers={TenantryError: own})
    install(app, registry, tenant=trusted_header("X-Tenant", authorize=may_act))

    @app.get("/")
    async def endpoint(name: TenantName) -> str:
        return name

    served = serve(app)
    assert "the caller may not act for tenant 'acme'" in served.get("/", "acme").text
    assert "the request names no tenant: the resolver" in served.get("/").text
    told = served.get("/", "nobody", headers={"X-User": "me"})
    assert (418, "unknown tenant 'nobody'") == (told.status_code, told.text.split(":")[0])


def test_without_a_resolver(serve: Any, registry: ClientRegistry) -> None:
    """Endpoints that name tenants themselves are answered for as well, mounted ones too."""
    app, inner = FastAPI(), FastAPI()

    @inner.get("/{tenant}")
    async def endpoint(tenant: str, registry: TenantRegistry) -> str:
        return str(registry.client(tenant).base_url)

    app.mount("/inner", inner)
    install(app, registry)
    served = serve(app)

    assert 200 == served.get("/inner/acme").status_code
    assert 404 == served.get("/inner/nobody").status_code


def test_handlers_of_the_sdk(serve: Any, app: FastAPI) -> None:
    """Where an application answers the SDK's errors, those that are ours too stay ours."""

    async def own(_: Any, error: Exception) -> PlainTextResponse:
        return PlainTextResponse(type(error).__name__, 502)

    app.add_exception_handler(OpenAIError, own)
    assert 503 == serve(app).get("/", "initech").status_code


def test_mistakes(serve: Any, app: FastAPI) -> None:
    """What a request cannot mend is no answer to it: the application is told, the user is not."""

    @app.get("/boundary")
    async def boundary(client: TenantClient) -> None:
        await client.get("http://elsewhere.test/v1/models", cast_to=object)

    assert "may only speak to" in serve(app).mistake("/boundary", "acme")


def test_nobody_asked(serve: Any, app: FastAPI) -> None:
    """A client for the current tenant, where no dependency said who that is, is a mistake."""

    @app.get("/none")
    async def none(registry: TenantRegistry) -> str:
        return str(registry.client())

    told = serve(app).mistake("/none", "acme")
    assert "let the endpoint, or its router, depend on TenantName or TenantClient" in told


def test_lost_on_the_way(serve: Any, app: FastAPI) -> None:
    """A current tenant that did not travel to a thread is told apart from one that never was."""

    @app.get("/lost")
    async def lost(registry: TenantRegistry, name: TenantName) -> str:
        raised: list[Exception] = []

        def work() -> None:
            try:
                registry.client()
            except TenantryError as error:
                raised.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        raise raised[0]

    assert "contextvars.copy_context().run" in serve(app).mistake("/lost", "acme")


@pytest.fixture
def sockets(serve: Any, app: FastAPI) -> Any:
    @app.websocket("/name")
    async def name(websocket: WebSocket, name: TenantName) -> None:
        await websocket.accept()
        await websocket.send_text(name)
        await websocket.close()

    @app.websocket("/late")
    async def late(websocket: WebSocket, client: TenantClient) -> None:
        await websocket.accept()
        await client.models.list()

    return serve(app)


def closing(served: Any, path: str, tenant: str) -> tuple[int, str]:
    headers = {"X-Tenant": tenant}
    url = f"{served.websocket_url}{path}"
    with (
        connect(url, additional_headers=headers, proxy=None) as websocket,
        pytest.raises(ConnectionClosed) as caught,
    ):
        websocket.recv(timeout=30)
    frame = caught.value.rcvd
    assert frame is not None
    return frame.code, frame.reason


def test_websocket(sockets: Any) -> None:
    """A WebSocket is served with the tenant of its handshake."""
    headers = {"X-Tenant": "acme"}
    with connect(
        f"{sockets.websocket_url}/name", additional_headers=headers, proxy=None
    ) as websocket:
        assert "acme" == websocket.recv(timeout=30)


def test_overridden_websocket(serve: Any, app: FastAPI) -> None:
    """Where FastAPI looks at a WebSocket anew, what its handshake lacks is FastAPI's to say."""

    async def needed(x_needed: Annotated[str, Header()]) -> str:
        return x_needed

    app.state.tenantry.resolver = needed
    app.dependency_overrides[str] = str  # of something else

    @app.websocket("/name")
    async def name(websocket: WebSocket, name: TenantName) -> None:
        await websocket.accept()
        await websocket.send_text(name)

    url, headers = f"{serve(app).websocket_url}/name", {"X-Needed": "acme"}
    with connect(url, additional_headers=headers, proxy=None) as websocket:
        assert "acme" == websocket.recv(timeout=30)
    with pytest.raises(InvalidStatus, match="403"):
        connect(url, proxy=None)


@pytest.mark.parametrize(
    ("path", "tenant", "code", "reason"),
    [
        ("/name", "", 1008, "The request names no tenant."),
        ("/name", "nobody", 1008, "There is no such tenant."),
        ("/name", "hooli", 1008, "The tenant may not be used."),
        ("/name", "umbrella", 1013, "The tenant cannot be served at the moment."),
        ("/late", "initech", 1013, "The tenant cannot be served at the moment."),
    ],
)
def test_close_codes(sockets: Any, path: str, tenant: str, code: int, reason: str) -> None:
    """A WebSocket is closed with a code that its user sees, before and after it was accepted."""
    assert (code, reason) == closing(sockets, path, tenant)


async def test_closed_already(app: FastAPI) -> None:
    """A WebSocket that the application closed itself is not closed again."""
    sent: list[str] = []

    @app.websocket("/over")
    async def over(websocket: WebSocket, registry: TenantRegistry) -> None:
        await websocket.accept()
        await websocket.close()
        registry.client("nobody")

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message["type"])

    scope = {"type": "websocket", "path": "/over", "query_string": b"", "headers": []}
    await app(scope, receive, send)

    assert ["websocket.accept", "websocket.close"] == sent


def test_close_code_of_a_subprotocol(sockets: Any) -> None:
    """Who asks for a subprotocol is given it: browsers drop a handshake without, code and all."""
    url, headers = f"{sockets.websocket_url}/name", {"X-Tenant": "nobody"}
    chat = Subprotocol("chat.v1")
    with connect(url, additional_headers=headers, proxy=None, subprotocols=[chat]) as websocket:
        assert chat == websocket.subprotocol
        with pytest.raises(ConnectionClosed) as caught:
            websocket.recv(timeout=30)

    assert caught.value.rcvd is not None
    assert 1008 == caught.value.rcvd.code
