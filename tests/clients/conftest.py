from __future__ import annotations

import inspect
import json
import threading
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI
from pydantic import SecretStr

from tenantry import ClientRegistry
from tenantry.testing import OpenAIServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from openai.types.chat import ChatCompletion

    from tenantry.testing.openai import RecordedRequest

Client: TypeAlias = OpenAI | AsyncOpenAI

KEY = "sk-acme-0123456789"
NEWER_KEY = "sk-acme-rotated-0123456789"
FOREIGN_KEY = "sk-globex-0123456789"
ADMIN_KEY = "sk-admin-0123456789"
CREDENTIALS = ("api_key", "azure_ad_token", "azure_ad_token_provider", "workload_identity")


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the four client classes of the SDK."""

    sdk: type[Client]
    provider: str
    is_async: bool

    @property
    def is_azure(self) -> bool:
        return self.provider == "azure"


KINDS = (
    Kind(OpenAI, "openai", is_async=False),
    Kind(AsyncOpenAI, "openai", is_async=True),
    Kind(AzureOpenAI, "azure", is_async=False),
    Kind(AsyncAzureOpenAI, "azure", is_async=True),
)


class Acme:
    """The tenant `acme`, whose clients are of one kind, on a server of its own."""

    key = KEY
    newer_key = NEWER_KEY
    foreign_key = FOREIGN_KEY
    admin_key = ADMIN_KEY
    model = "gpt-4o-mini"
    api_version = "2024-10-21"

    def __init__(self, kind: Kind, server: OpenAIServer, stack: AsyncExitStack) -> None:
        self.kind = kind
        self.server = server
        self._stack = stack

    def settings(self, said: Mapping[str, Any]) -> dict[str, Any]:
        """Return what a tenant of this kind has to say, with what the test says of it."""
        settings: dict[str, Any] = {"provider": self.kind.provider}
        if self.kind.is_azure:
            settings["azure_endpoint"] = self.server.azure_endpoint
            settings["api_version"] = self.api_version
        else:
            settings["base_url"] = self.server.base_url
        if not any(key in said for key in (*CREDENTIALS, "admin_api_key")):
            settings["api_key"] = SecretStr(KEY)
        if "base_url" in said or "data_residency" in said:
            settings.pop("base_url", None)
            settings.pop("azure_endpoint", None)
        return {**settings, **said}

    def registry(self, *, environ: Mapping[str, str] | None = None, **said: Any) -> ClientRegistry:
        """Open a registry that is closed when the test ends, on the test's own event loop."""
        # Nothing is fetched before a test asks for it.
        config = {"registry": {"warm": "none"}, "tenants": {"acme": self.settings(said)}}
        registry = ClientRegistry.open(config, environ=environ or {})
        self._stack.push_async_exit(registry)
        return registry

    def of(self, registry: ClientRegistry, **options: Any) -> Client:
        """Have the registry hand out the client."""
        if self.kind.is_async:
            return registry.async_client("acme", **options)
        return registry.client("acme", **options)

    def client(self, *, environ: Mapping[str, str] | None = None, **said: Any) -> Client:
        """Hand out the client of a tenant that says `said`."""
        return self.of(self.registry(environ=environ, **said))

    async def chat(self, client: Client, **arguments: Any) -> ChatCompletion:
        """Have one chat, whatever the client is."""
        chat: Any = client.chat.completions
        said = {"model": self.model, "messages": [{"role": "user", "content": "hi"}], **arguments}
        completion: ChatCompletion = await self.settle(chat.create(**said))
        return completion

    async def sent(self, client: Client, **arguments: Any) -> RecordedRequest:
        """Have one chat, and return the request as the server received it."""
        await self.chat(client, **arguments)
        return self.server.requests[-1]

    async def get(
        self, client: Client, path: str, *, cast_to: type[Any] = object, **options: Any
    ) -> Any:
        """Send a GET to any path, as the SDK's undocumented endpoints are called."""
        get: Any = client.get
        return await self.settle(get(path, cast_to=cast_to, options=options))

    async def models(self, client: Client) -> RecordedRequest:
        """List the models, which no deployment has a part in; return the request."""
        await self.settle(client.models.list())
        return self.server.requests[-1]

    async def streamed(self, client: Client, **arguments: Any) -> str:
        """Have one chat as a stream, and return the text."""
        stream: Any = await self.chat(client, stream=True, **arguments)
        chunks = [chunk async for chunk in stream] if self.kind.is_async else list(stream)
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

    def credential_of(self, request: RecordedRequest) -> str:
        """The key, if it came the one way that this kind sends keys: never both ways."""
        names = ["authorization", "api-key"]
        here = names.pop(self.kind.is_azure)
        assert names[0] not in request.header
        return request.header[here].removeprefix("Bearer ")

    @staticmethod
    async def settle(value: Any) -> Any:
        """Return what a sync client returned, or an async one will."""
        return await value if inspect.isawaitable(value) else value


class Echo(ThreadingHTTPServer):
    """A plain server and forward proxy: keeps request lines and headers, and sets a cookie."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _EchoHandler)
        self.seen: list[tuple[str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _EchoHandler(BaseHTTPRequestHandler):
    server: Echo
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append((self.requestline, headers))
        body = json.dumps({"object": "list", "data": []}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header("set-cookie", "session=of-another; Path=/")
        self.end_headers()
        self.wfile.write(body)

    def do_CONNECT(self) -> None:
        self.server.seen.append((self.requestline, {}))
        self.send_error(403)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its own name
        """Say nothing."""


@pytest.fixture(params=KINDS, ids=lambda kind: kind.sdk.__name__)
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


@pytest.fixture(scope="session")
def running() -> Iterator[OpenAIServer]:
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def server(running: OpenAIServer) -> OpenAIServer:
    """A server that knows Acme's key alone, and remembers nothing of other tests."""
    for key in (NEWER_KEY, FOREIGN_KEY, ADMIN_KEY):
        running.revoke(key)
    running.allow(KEY, tenant="acme", version="1")
    running.reset()
    running.clear()
    return running


@pytest.fixture(scope="session")
def accepting() -> Iterator[OpenAIServer]:
    with OpenAIServer(accept_any=True) as server:
        yield server


@pytest.fixture
def elsewhere(accepting: OpenAIServer) -> OpenAIServer:
    """A server that is not the tenant's, and would take any key."""
    accepting.clear()
    return accepting


@pytest.fixture
async def acme(kind: Kind, server: OpenAIServer) -> AsyncIterator[Acme]:
    async with AsyncExitStack() as stack:
        yield Acme(kind, server, stack)


@pytest.fixture(params=KINDS[:2], ids=lambda kind: kind.sdk.__name__)
async def openai_acme(request: pytest.FixtureRequest, server: OpenAIServer) -> AsyncIterator[Acme]:
    """Acme, for parameters that only OpenAI has."""
    async with AsyncExitStack() as stack:
        yield Acme(request.param, server, stack)


@pytest.fixture(params=KINDS[2:], ids=lambda kind: kind.sdk.__name__)
async def azure_acme(request: pytest.FixtureRequest, server: OpenAIServer) -> AsyncIterator[Acme]:
    """Acme, for parameters that only Azure has."""
    async with AsyncExitStack() as stack:
        yield Acme(request.param, server, stack)


@pytest.fixture
def echo() -> Iterator[Echo]:
    with Echo() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Patient(ThreadingHTTPServer):
    """A plain server that begins to answer, and goes on when the test says so.

    `GET` is answered whole, once `headers_go` is set. `POST` begins a stream of events, which ends
    once `body_go` is set.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _PatientHandler)
        self.headers_go, self.body_go = threading.Event(), threading.Event()
        self.headers_go.set()
        self.begun = threading.Semaphore(0)  # one for each request that arrived
        self.sockets: set[object] = set()  # those that are open

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def arrived(self, requests: int = 1) -> None:
        """Wait for requests to arrive."""
        for _ in range(requests):
            assert self.begun.acquire(timeout=10), "no request arrived"

    def left_with(self, sockets: int) -> bool:
        """Wait until so many sockets are open; return whether that came true."""
        end = time.monotonic() + 10
        while len(self.sockets) != sockets and time.monotonic() < end:
            time.sleep(0.002)
        return len(self.sockets) == sockets

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that went away."""


class _PatientHandler(BaseHTTPRequestHandler):
    server: Patient
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.server.sockets.add(self)

    def finish(self) -> None:
        self.server.sockets.discard(self)
        super().finish()

    def do_GET(self) -> None:
        self.server.begun.release()
        assert self.server.headers_go.wait(10)
        if self.path.endswith("/moved"):
            self._begin(307, ("location", "/v1/models"), ("content-length", "0"))
            return
        body = json.dumps({"object": "list", "data": []}).encode()
        self._begin(200, ("content-length", str(len(body))))
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.begun.release()
        assert self.server.headers_go.wait(10)
        self._begin(200, ("transfer-encoding", "chunked"), ("content-type", "text/event-stream"))
        self._event("first")
        assert self.server.body_go.wait(10)
        self._event("last")
        self._chunk(b"data: [DONE]\n\n")
        self._chunk(b"")

    def _begin(self, status: int, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    def _event(self, text: str) -> None:
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
        event = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
        self._chunk(f"data: {json.dumps({**event, 'choices': [choice]})}\n\n".encode())

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its own name
        """Say nothing."""


@pytest.fixture
def patient() -> Iterator[Patient]:
    with Patient() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.headers_go.set()
        server.body_go.set()
        server.shutdown()
        thread.join()
