"""A forward proxy on a loopback port, so that tests see who would have left the machine by it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from tenantry.testing.certificates import ServerCertificate

LOOPBACK = "127.0.0.1"
LIMIT = 10.0  # seconds to start or to stop
CHUNK = 65_536

_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_WHO = (
    b"HTTP/1.1 407 Proxy Authentication Required\r\n"
    b'Proxy-Authenticate: Basic realm="proxy"\r\nContent-Length: 0\r\n\r\n'
)
_NOWHERE = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class ProxiedRequest:
    """What a proxy was asked: for a tunnel `CONNECT HOST:PORT`, else the request of a whole URL.

    `username` is who asked, None without a login; `status` what the proxy said to it, 0 where the
    server answered.
    """

    method: str
    target: str
    username: str | None
    status: int


class ProxyServer:
    """A forward proxy, from `start` (or `with`) to `stop`.

    Args:
        username: Who may use it; None lets everybody.
        password: And with which password.
        certificate: Serves as an https proxy with it.
    """

    def __init__(
        self,
        *,
        username: str | None = None,
        password: str = "",
        certificate: ServerCertificate | None = None,
    ) -> None:
        self._login = None if username is None else f"{username}:{password}"
        self._tls = None if certificate is None else _context(certificate)
        self._lock = threading.Lock()  # guards _requests
        self._requests: list[ProxiedRequest] = []
        self._port = 0
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._end: asyncio.Event | None = None
        self._accepted: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def url(self) -> str:
        """What a tenant's `proxy` takes."""
        return f"{'http' if self._tls is None else 'https'}://{LOOPBACK}:{self._port}"

    @property
    def requests(self) -> tuple[ProxiedRequest, ...]:
        """What it was asked, in order."""
        with self._lock:
            return tuple(self._requests)

    def start(self) -> Self:
        """Listen; returns once it does."""
        self._thread = threading.Thread(target=self._run, name="tenantry-proxy", daemon=True)
        self._thread.start()
        if not self._ready.wait(LIMIT):
            message = f"the proxy did not start within {LIMIT:g} s"
            raise RuntimeError(message)
        return self

    def stop(self) -> None:
        """Close every connection and end the thread; stopping twice is harmless."""
        loop, end, thread = self._loop, self._end, self._thread
        if loop is None or end is None or thread is None:
            return
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(end.set)
        thread.join(LIMIT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accept, LOOPBACK, 0, ssl=self._tls)
        self._port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._end.wait()
        server.close()
        for writer in self._accepted.values():
            writer.transport.abort()
        await asyncio.gather(*self._accepted)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._answer(reader, writer))
        self._accepted[task] = writer
        task.add_done_callback(self._accepted.pop)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError, asyncio.IncompleteReadError):
            while await self._relayed(reader, writer):
                pass
        writer.close()

    async def _relayed(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; returns whether another may follow on the same connection."""
        head = _Head.of(await reader.readuntil(b"\r\n\r\n"))
        if self._login not in (None, head.login):
            self._note(head, 407)
            writer.write(_WHO)
            await writer.drain()
            return head.method == "CONNECT"
        try:
            far_reader, far_writer = await asyncio.open_connection(*head.server)
        except OSError:
            self._note(head, 502)
            writer.write(_NOWHERE)
            return False
        self._note(head, 200 if head.method == "CONNECT" else 0)
        if head.method == "CONNECT":
            writer.write(_ESTABLISHED)
        else:
            far_writer.write(head.forwarded())
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        return False

    def _note(self, head: _Head, status: int) -> None:
        username = None if head.login is None else head.login.partition(":")[0]
        with self._lock:
            self._requests.append(ProxiedRequest(head.method, head.target, username, status))


@dataclass(frozen=True, slots=True)
class _Head:
    """The first line and the headers of a request."""

    method: str
    target: str
    headers: tuple[bytes, ...]

    @classmethod
    def of(cls, text: bytes) -> _Head:
        first, *headers = text.removesuffix(b"\r\n\r\n").split(b"\r\n")
        method, target, _ = first.decode("ascii").split(" ")
        return cls(method, target, tuple(headers))

    @property
    def login(self) -> str | None:
        for header in self.headers:
            name, _, value = header.partition(b":")
            if name.lower() == b"proxy-authorization":
                return base64.b64decode(value.split()[-1]).decode()
        return None

    @property
    def server(self) -> tuple[str, int]:
        target = self.target if self.method != "CONNECT" else f"//{self.target}"
        parts = urlsplit(target)
        return parts.hostname or "", parts.port or 80

    def forwarded(self) -> bytes:
        """The request as the server shall see it: the last one of its connection."""
        parts = urlsplit(self.target)
        path = parts._replace(scheme="", netloc="").geturl() or "/"
        kept = (
            header
            for header in self.headers
            if not header.lower().startswith((b"proxy-", b"connection:"))
        )
        first = f"{self.method} {path} HTTP/1.1".encode("ascii")
        return b"\r\n".join((first, *kept, b"Connection: close", b"", b""))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy what comes until the end of either side."""
    try:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK):
                writer.write(chunk)
                await writer.drain()
    finally:
        writer.close()


def _context(certificate: ServerCertificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate_file, certificate.key_file)
    return context
