"""Over aiohttp a tenant's requests, answers and failures are what they are over httpx."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import socket
import struct
import threading
from contextlib import AsyncExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import openai
import pytest
from pydantic import SecretStr

from tenantry import ClientRegistry
from tenantry.clients.http import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from tenantry.testing import OpenAIServer
    from tenantry.testing.openai import RecordedRequest

KEY = "sk-acme-0123456789"
LIBRARIES = ("httpx", "aiohttp")
MODELS = json.dumps({"object": "list", "data": [{"id": "odd"}]}).encode()


# -- a server that does not behave ----------------------------------------------------------------


class Odd(ThreadingHTTPServer):
    """Answers each path in its own bad manner, and counts what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _OddHandler)
        self.asked: list[str] = []
        self.cookies: list[str | None] = []
        self.silence = threading.Event()  # has begun
        self.released = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _OddHandler(BaseHTTPRequestHandler):
    server: Odd
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        self.server.asked.append(name)
        self.server.cookies.append(self.headers["cookie"])
        getattr(self, name)()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.do_GET()

    def answer(self, body: bytes = MODELS, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        for header, value in headers.items():
            self.send_header(header.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def gzipped(self) -> None:
        self.answer(gzip.compress(MODELS), content_encoding="gzip")

    def cookie(self) -> None:
        self.answer(set_cookie="session=of-another; Path=/")

    def long(self) -> None:
        self.answer(x_long="x" * 30_000)

    def moved(self) -> None:
        self.answer(b"", 307, location="/v1/gzipped")

    def malformed(self) -> None:
        self.wfile.write(b"NONSENSE\r\n\r\n")
        self.close_connection = True

    def gone(self) -> None:
        self.close_connection = True

    def cut(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")
        self.close_connection = True

    def reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def silent(self) -> None:
        self.server.silence.set()
        self.server.released.wait(30)
        self.close_connection = True

    def finish(self) -> None:
        if self.connection.fileno() != -1:
            super().finish()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its own name
        """Say nothing."""


@pytest.fixture
def odd() -> Iterator[Odd]:
    with Odd() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


@pytest.fixture
async def tenant() -> AsyncIterator[Callable[..., openai.AsyncOpenAI]]:
    """Return what hands out the async client of a tenant, by the library that it shall use."""
    async with AsyncExitStack() as stack:

        def client(base_url: str, library: str, **said: Any) -> openai.AsyncOpenAI:
            acme = {"base_url": base_url, "api_key": SecretStr(KEY), "http": library, **said}
            registry = ClientRegistry.open({"tenants": {"acme": acme}}, environ={})
            stack.push_async_exit(registry)
            return registry.async_client("acme")

        yield client


# -- requests -------------------------------------------------------------------------------------


def seen(request: RecordedRequest) -> tuple[object, ...]:
    """What a request is; in which order headers come does not matter, nor what parts are cut at."""
    headers = {name: value for name, value in request.headers if name != "host"}
    boundary = headers.get("content-type", "").partition("boundary=")[2]
    body = request.body.replace(boundary.encode(), b"") if boundary else request.body
    headers["content-type"] = headers.get("content-type", "").replace(boundary, "")
    return request.method, request.path, request.query, headers, body


async def bodies(client: openai.AsyncOpenAI) -> None:
    """Send what the SDK can send: nothing, JSON, files, bytes, chunks, and any path."""
    raw: Any = client
    await client.models.list()
    await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    await client.files.create(file=("a.txt", b"text"), purpose="assistants")
    await client.files.create(file=io.BytesIO(b"stream"), purpose="assistants")
    for path in ("/models/a%2Fb", "/models/a b+c~d", "/models/%C3%A9;p?q=a+b%20c%2B&r=%26|"):
        await raw.get(path, cast_to=object)
    await client.with_options(default_headers={"X-One": "1", "x-two": "2, 3"}).models.list()
    own = {"X-None": "", "Content-Type": "text/plain"}
    with pytest.raises(openai.NotFoundError):
        await raw.post("/anything", body={"a": 1}, cast_to=object, options={"headers": own})


async def test_requests_are_the_same(
    tenant: Callable[..., openai.AsyncOpenAI], server: OpenAIServer
) -> None:
    """Methods, paths, headers and bodies reach the server as httpx would send them."""
    sent: dict[str, list[tuple[object, ...]]] = {}
    for library in LIBRARIES:
        server.clear()
        await bodies(tenant(server.base_url, library))
        sent[library] = [seen(request) for request in server.requests]
    assert sent["httpx"] == sent["aiohttp"]
    assert 9 == len(sent["httpx"])


async def test_escapes_that_are_not_needed_are_undone(
    tenant: Callable[..., openai.AsyncOpenAI], server: OpenAIServer
) -> None:
    """The one difference: aiohttp writes `A` for `%41`, which is the same address."""
    for library in LIBRARIES:
        raw: Any = tenant(server.base_url, library)
        await raw.get("/models/%41?q=%2F", cast_to=object)
    assert ["/v1/models/%41", "/v1/models/A"] == [request.path for request in server.requests]
    assert [{"q": ["/"]}] * 2 == [request.query for request in server.requests]


# -- answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", LIBRARIES)
async def test_answers_are_the_same(
    tenant: Callable[..., openai.AsyncOpenAI], odd: Odd, library: str
) -> None:
    """What is compressed is unpacked once, a long header is read, a redirect followed by httpx."""
    raw: Any = tenant(odd.url, library)
    for path in ("/gzipped", "/long", "/moved"):
        assert {"id": "odd"} == (await raw.get(path, cast_to=object))["data"][0]
    response = await raw.get("/long", cast_to=httpx.Response)
    assert 30_000 == len(response.headers["x-long"])
    assert ("OK", "HTTP/1.1") == (response.reason_phrase, response.http_version)
    assert response.request.url == f"{odd.url}/long"


@pytest.mark.parametrize("library", LIBRARIES)
async def test_raw_and_streamed_answers(
    tenant: Callable[..., openai.AsyncOpenAI], server: OpenAIServer, library: str
) -> None:
    """Raw and streamed answers, and events, come as the SDK documents them."""
    client = tenant(server.base_url, library)
    raw = await client.models.with_raw_response.list()
    assert ("gpt-4o-mini", 200) == (raw.parse().data[0].id, raw.status_code)
    async with client.models.with_streaming_response.list() as streamed:
        whole = b"".join([chunk async for chunk in streamed.iter_bytes()])
    assert "gpt-4o-mini" == json.loads(whole)["data"][0]["id"]
    events = await client.chat.completions.create(
        model="m", messages=[{"role": "user", "content": "hi"}], stream=True
    )
    async with events:
        words = [event.choices[0].delta.content or "" async for event in events if event.choices]
    assert "".join(words)


async def test_cookies_do_not_come_back(
    tenant: Callable[..., openai.AsyncOpenAI], odd: Odd
) -> None:
    """A cookie that an answer sets goes with no later request."""
    # Of an address without a name aiohttp would take no cookie anyway.
    raw: Any = tenant(odd.url.replace("127.0.0.1", "localhost"), "aiohttp")
    for _ in range(2):
        await raw.get("/cookie", cast_to=object)
    assert [None, None] == odd.cookies


# -- failures -------------------------------------------------------------------------------------


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("path", ["gone", "reset", "malformed"])
async def test_a_broken_connection_is_no_time_out(
    tenant: Callable[..., openai.AsyncOpenAI], odd: Odd, library: str, path: str
) -> None:
    """What breaks is tried as often as the SDK says, ends as that, and shows no key."""
    client: Any = tenant(odd.url, library, max_retries=1)
    with pytest.raises(openai.APIConnectionError) as caught:
        await client.post(f"/{path}", body={}, cast_to=object)
    assert not isinstance(caught.value, openai.APITimeoutError)
    assert isinstance(caught.value.__cause__, (httpx.NetworkError, httpx.RemoteProtocolError))
    assert [path] * 2 == odd.asked
    assert not any(KEY in f"{error!s} {error!r}" for error in chain(caught.value))


@pytest.mark.parametrize("library", LIBRARIES)
async def test_an_answer_that_is_cut_is_an_error(
    tenant: Callable[..., openai.AsyncOpenAI], odd: Odd, library: str
) -> None:
    """Half an answer is not taken for a whole one."""
    client: Any = tenant(odd.url, library, max_retries=0)
    with pytest.raises((openai.APIConnectionError, httpx.TransportError)):
        await client.post("/cut", body={}, cast_to=object)


@pytest.mark.parametrize("library", LIBRARIES)
async def test_nobody_there(tenant: Callable[..., openai.AsyncOpenAI], library: str) -> None:
    """An address at which nobody listens is a failure to connect."""
    client = tenant("http://127.0.0.1:9/v1", library, max_retries=0)
    with pytest.raises(openai.APIConnectionError) as caught:
        await client.models.list()
    assert isinstance(caught.value.__cause__, httpx.ConnectError)


@pytest.mark.parametrize("library", LIBRARIES)
async def test_silence_is_a_time_out(
    tenant: Callable[..., openai.AsyncOpenAI], odd: Odd, library: str
) -> None:
    """An answer that does not come within `read` is a time-out."""
    client: Any = tenant(odd.url, library, max_retries=0, timeout={"read": 0.05})
    with pytest.raises(openai.APITimeoutError) as caught:
        await client.post("/silent", body={}, cast_to=object)
    assert isinstance(caught.value.__cause__, httpx.ReadTimeout)


@pytest.mark.parametrize("library", LIBRARIES)
async def test_waiting_for_a_socket_is_a_time_out(
    tenant: Callable[..., openai.AsyncOpenAI], odd: Odd, library: str
) -> None:
    """Who finds no free socket within `pool` has a time-out, while the other goes on."""
    one: dict[str, Any] = {"pool": {"max_connections": 1}, "timeout": {"pool": 0.05}}
    client: Any = tenant(odd.url, library, max_retries=0, **one)
    busy = asyncio.create_task(client.post("/silent", body={}, cast_to=object))
    await asyncio.to_thread(odd.silence.wait, 30)
    with pytest.raises(openai.APITimeoutError):
        await client.get("/gzipped", cast_to=object)
    assert not busy.done()
    busy.cancel()
    await asyncio.gather(busy, return_exceptions=True)


@pytest.mark.parametrize("library", LIBRARIES)
async def test_a_cancelled_request_gives_its_socket_back(
    tenant: Callable[..., openai.AsyncOpenAI], odd: Odd, library: str
) -> None:
    """After a cancelled request another one finds room, on a socket of its own."""
    client: Any = tenant(odd.url, library, pool={"max_connections": 1})
    waiting = asyncio.create_task(client.post("/silent", body={}, cast_to=object))
    await asyncio.to_thread(odd.silence.wait, 30)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert "odd" == (await client.get("/gzipped", cast_to=object))["data"][0]["id"]
