"""A server that keeps every byte, an environment that says everything, and tenants between them."""

from __future__ import annotations

import contextlib
import inspect
import io
import itertools
import json
import re
import socketserver
import threading
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import pytest
from openai import AsyncOpenAI, OpenAI

from tenantry import ClientRegistry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
    from pathlib import Path

    from tests.clients.conftest import Kind

Client: TypeAlias = OpenAI | AsyncOpenAI

PATIENCE = 1.0  # seconds after which a message that is not whole is kept as it came
IDLE = 30.0  # seconds that a connection on which nothing is said may stay
BOUNDARY = re.compile(rb"boundary=([0-9a-f]+)")
CHUNK = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
SAID = {"index": 0, "delta": {"content": "hello"}, "finish_reason": None}
EVENTS = f"data: {json.dumps({**CHUNK, 'choices': [SAID]})}\n\ndata: [DONE]\n\n"
ANSWER = json.dumps(
    {"id": "1", "object": "list", "created": 1, "model": "m", "choices": [], "data": []}
)


# -- the server -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Message:
    """One request as it came: the request line and headers, and the body behind them."""

    head: bytes
    body: bytes

    @property
    def lines(self) -> list[bytes]:
        return self.head.split(b"\r\n")

    @property
    def target(self) -> bytes:
        """What the request line asks for, path and query."""
        return self.lines[0].split(b" ")[1]

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Names in lower case, and values, in the order in which they came."""
        pairs = (line.partition(b":") for line in self.lines[1:])
        return [(name.lower(), value.strip()) for name, _, value in pairs]

    def named(self, name: bytes) -> list[bytes]:
        return [value for other, value in self.headers if other == name]

    def without_boundary(self) -> Message:
        """Return the message with the random text that divides a multipart body left out."""
        found = BOUNDARY.search(self.head)
        if found is None:
            return self
        drawn = found[1]
        return Message(self.head.replace(drawn, b"BOUNDARY"), self.body.replace(drawn, b"BOUNDARY"))


class Tap(socketserver.ThreadingTCPServer):
    """A server that parses next to nothing, and keeps the bytes of every message."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Line)
        self.messages: list[Message] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def taken(self) -> list[Message]:
        """Return what came since the last look."""
        taken, self.messages = self.messages, []
        return taken

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that went away."""


class _Line(socketserver.StreamRequestHandler):
    """One connection."""

    server: Tap

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while (head := self._head()).endswith(b"\r\n\r\n"):
                body = self._body(head)
                self.server.messages.append(Message(head.removesuffix(b"\r\n\r\n"), body))
                self._answer(head, body)
            if head:
                self.server.messages.append(Message(head, b""))

    def _head(self) -> bytes:
        self.connection.settimeout(IDLE)
        assert isinstance(self.rfile, io.BufferedReader)
        self.rfile.peek(1)  # until a message begins
        self.connection.settimeout(PATIENCE)
        head = b""
        while not head.endswith(b"\r\n\r\n") and (line := self.rfile.readline()):
            head += line
        return head

    def _body(self, head: bytes) -> bytes:
        if re.search(rb"(?i)\r\ntransfer-encoding: *chunked\r\n", head):
            return b"".join(self._chunks())
        found = re.search(rb"(?i)\r\ncontent-length: *(\d+)\r\n", head)
        return self.rfile.read(int(found[1])) if found else b""

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _answer(self, head: bytes, body: bytes) -> None:
        streamed = b"multipart" not in head and b'"stream":true' in body.replace(b" ", b"")
        kind, text = ("text/event-stream", EVENTS) if streamed else ("application/json", ANSWER)
        lines = (
            "HTTP/1.1 403 Forbidden" if head.startswith(b"CONNECT") else "HTTP/1.1 200 OK",
            f"content-type: {kind}",
            f"content-length: {len(text)}",
            "set-cookie: session=of-another; Path=/",
        )
        self.wfile.write("\r\n".join((*lines, "", text)).encode())


@contextlib.contextmanager
def listening_tap() -> Generator[Tap, None, None]:
    with Tap() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="session")
def listening() -> Iterator[Tap]:
    with listening_tap() as server:
        yield server


@pytest.fixture(scope="session")
def foreign() -> Iterator[Tap]:
    """Another server, which no tenant may reach."""
    with listening_tap() as server:
        yield server


@pytest.fixture
def tap(listening: Tap) -> Tap:
    """A server that remembers nothing of other tests."""
    listening.taken()
    return listening


# -- the environment ------------------------------------------------------------------------------


class Poison:
    """Everything that an environment can say to the SDK and to what it stands on."""

    mark = "of-the-environment"
    variables: ClassVar[dict[str, str]] = {
        "OPENAI_API_KEY": f"sk-{mark}",
        "OPENAI_ADMIN_KEY": f"sk-admin-{mark}",
        "OPENAI_ORG_ID": f"org-{mark}",
        "OPENAI_PROJECT_ID": f"proj-{mark}",
        "OPENAI_WEBHOOK_SECRET": f"whsec-{mark}",
        "OPENAI_BASE_URL": "http://127.0.0.1:9/elsewhere",
        "OPENAI_API_TYPE": "azure",
        "OPENAI_API_VERSION": "1999-01-01",
        "OPENAI_CUSTOM_HEADERS": (
            f"Authorization: Bearer {mark}\napi-key: {mark}\nX-Evil: yes\nUser-Agent: {mark}"
        ),
        "AZURE_OPENAI_API_KEY": f"azure-{mark}",
        "AZURE_OPENAI_AD_TOKEN": f"token-{mark}",
        "AZURE_OPENAI_ENDPOINT": "http://127.0.0.1:9",
        "AWS_BEARER_TOKEN_BEDROCK": f"bedrock-{mark}",
        "AWS_BEDROCK_BASE_URL": "http://127.0.0.1:9",
        "AWS_DEFAULT_REGION": f"aws-{mark}",
        "AWS_REGION": f"aws-{mark}",
        "GOOGLE_CLOUD_LOCATION": f"gcp-{mark}",
        "GOOGLE_CLOUD_PROJECT": f"gcp-{mark}",
        "SSL_CERT_FILE": "/nowhere/ca.pem",
        "SSL_CERT_DIR": "/nowhere",
        **{
            name: "http://evil:evil@127.0.0.1:9"
            for scheme in ("http", "https", "all", "ws", "wss")
            for name in (f"{scheme}_proxy", f"{scheme.upper()}_PROXY")
        },
    }

    def __init__(self, patch: pytest.MonkeyPatch, home: Path) -> None:
        self._patch = patch
        self._netrc = home / ".netrc"
        # What else this process's own environment says would differ between two runs.
        for name in (*self.variables, "NO_PROXY", "no_proxy", "NETRC"):
            patch.delenv(name, raising=False)

    def spread(self) -> None:
        """Have the environment say all of it at once."""
        for name, value in self.variables.items():
            self._patch.setenv(name, value)
        self._netrc.write_text(f"default login evil password {self.mark}\n")
        self._netrc.chmod(0o600)
        self._patch.setenv("NETRC", str(self._netrc))
        self._patch.setenv("HOME", str(self._netrc.parent))


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Poison:
    """A clean environment, until it is told otherwise."""
    return Poison(monkeypatch, tmp_path)


# -- tenants --------------------------------------------------------------------------------------


class Acme:
    """The tenant `acme`, whose clients are of one kind, behind a path of its own on the tap."""

    prefix = b"/t-acme/v1"

    def __init__(self, kind: Kind, tap: Tap, stack: AsyncExitStack) -> None:
        self.kind = kind
        self.tap = tap
        self._stack = stack

    def registry(
        self, said: Mapping[str, Any], environ: Mapping[str, str] | None
    ) -> ClientRegistry:
        """Open a registry that is closed when the test ends; `environ` as for `open`."""
        tenant: dict[str, Any] = {"provider": self.kind.provider, "max_retries": 0}
        if self.kind.is_azure:
            tenant |= {"azure_endpoint": f"{self.tap.url}/t-acme", "api_version": "2024-10-21"}
        else:
            tenant |= {"base_url": f"{self.tap.url}{self.prefix.decode()}"}
        config = {"registry": {"warm": "none"}, "tenants": {"acme": {**tenant, **said}}}
        registry = ClientRegistry.open(config, environ=environ)
        self._stack.push_async_exit(registry)
        return registry

    def of(self, registry: ClientRegistry, **options: Any) -> Client:
        if self.kind.is_async:
            return registry.async_client("acme", **options)
        return registry.client("acme", **options)

    @staticmethod
    async def settle(value: Any) -> Any:
        """Return what a sync client returned, or an async one will."""
        return await value if inspect.isawaitable(value) else value

    @staticmethod
    def rotating() -> Callable[[], str]:
        """Return a source that says another key each time that it is asked."""
        keys = itertools.count(1)
        return lambda: f"sk-acme-{next(keys)}"


@pytest.fixture
async def tapped(kind: Kind, tap: Tap) -> AsyncIterator[Acme]:
    async with AsyncExitStack() as stack:
        yield Acme(kind, tap, stack)
