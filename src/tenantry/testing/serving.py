"""A loopback server in a thread: started on a free port, ended by `stop`, whatever it serves."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING, ClassVar, Self

from tenantry.errors import MissingExtraError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from tenantry.testing.certificates import ServerCertificate

LOOPBACK = "127.0.0.1"
WEBSOCKET = "websockets-sansio"  # the others stand on what websockets calls legacy, and warn
STARTUP_LIMIT = 30.0
SHUTDOWN_LIMIT = 10.0


class LoopbackServer:
    """One ASGI application on one loopback port, from `start` (or `with`) to `stop`.

    Subclasses give the application. Everything a test changes while the server runs is guarded by
    `lock`, which handlers hold only while they touch state.
    """

    name: ClassVar[str] = "server"
    speaks_websocket: ClassVar[bool] = False

    def __init__(self, *, port: int = 0, certificate: ServerCertificate | None = None) -> None:
        self.lock = threading.RLock()
        self._certificate = certificate
        # After the first start it is the port that was given: a restart is where clients look.
        self._port = port
        self._serving: _Serving | None = None

    def application(self) -> ASGIApp:
        """Return the application to serve; called once per start."""
        raise NotImplementedError

    @property
    def port(self) -> int:
        if self._serving is None:
            message = f"{self.name} is not running: use it as a context manager or call start()"
            raise RuntimeError(message)
        return self._port

    @property
    def url(self) -> str:
        """The origin, without a trailing slash: `http://127.0.0.1:PORT`."""
        scheme = "http" if self._certificate is None else "https"
        return f"{scheme}://{LOOPBACK}:{self.port}"

    def start(self) -> Self:
        """Listen and serve; returns once requests are answered. Starting twice is an error."""
        if self._serving is not None:
            message = f"{self.name} is already running at {self.url}"
            raise RuntimeError(message)
        ws = WEBSOCKET if self.speaks_websocket and find_spec("websockets") else "none"
        serving = _Serving(self.name, self.application(), self._certificate, ws)
        listener = _listen(self._port)
        self._port = int(listener.getsockname()[1])
        self._serving = serving
        serving.start(listener)
        return self

    def stop(self) -> None:
        """Close every connection and end the thread; stopping twice is harmless."""
        serving, self._serving = self._serving, None
        if serving is not None:
            serving.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()


def _listen(port: int) -> socket.socket:
    # With the protocol named, asyncio turns Nagle's delay off: it costs 40 ms per TLS reply.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener


class _Serving:
    """One uvicorn server and the thread that it runs on."""

    def __init__(
        self,
        name: str,
        application: ASGIApp,
        certificate: ServerCertificate | None,
        ws: str,
    ) -> None:
        try:
            import uvicorn
        except ModuleNotFoundError as error:
            raise MissingExtraError("testing", needed_for="the embedded servers") from error
        config = uvicorn.Config(
            application,
            log_config=None,
            log_level="critical",
            access_log=False,
            lifespan="off",
            http="h11",  # httptools, where installed, refuses Vault's LIST
            ws=ws,
            server_header=False,
            date_header=False,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=1,
            ssl_certfile=None if certificate is None else certificate.certificate_file,
            ssl_keyfile=None if certificate is None else certificate.key_file,
            ssl_ca_certs=None if certificate is None else certificate.client_ca_file,
            ssl_cert_reqs=0 if certificate is None else certificate.client_verification,
        )
        self._name = f"tenantry-{name}"
        self._server = uvicorn.Server(config)
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self, listener: socket.socket) -> None:
        self._thread = threading.Thread(
            target=self._run, args=(listener,), name=self._name, daemon=True
        )
        self._thread.start()
        if not self._ready.wait(STARTUP_LIMIT):
            message = f"{self._name} did not start within {STARTUP_LIMIT:g} s"
            raise RuntimeError(message)

    def stop(self) -> None:
        if self._loop is not None:
            # Before uvicorn closes anything: a TLS connection in mid-shutdown keeps its socket.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._drop_connections)
        self._server.should_exit = True
        self._server.force_exit = True
        if self._thread is not None:
            self._thread.join(SHUTDOWN_LIMIT)

    def _run(self, listener: socket.socket) -> None:
        with listener:
            asyncio.run(self._serve(listener))

    async def _serve(self, listener: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        serving = asyncio.ensure_future(self._server.serve(sockets=[listener]))
        while not self._server.started and not serving.done():  # noqa: ASYNC110  # it has a flag only
            await asyncio.sleep(0.005)
        self._ready.set()
        await serving

    def _drop_connections(self) -> None:
        for connection in list(self._server.server_state.connections):
            transport = getattr(connection, "transport", None)
            if transport is not None:
                transport.abort()
