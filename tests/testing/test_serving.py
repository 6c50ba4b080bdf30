"""A loopback server starts, answers, restarts where it was, and ends."""

from __future__ import annotations

import socket
import ssl
import sys
import threading
import urllib.request
from typing import TYPE_CHECKING, ClassVar

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from tenantry.errors import MissingExtraError
from tenantry.testing import CertificateAuthority
from tenantry.testing.serving import LoopbackServer

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request
    from starlette.types import ASGIApp


class Greeter(LoopbackServer):
    name: ClassVar[str] = "greeter"

    def application(self) -> ASGIApp:
        def greet(request: Request) -> PlainTextResponse:
            return PlainTextResponse("hello")

        return Starlette(routes=[Route("/", greet)])


def fetched(url: str, context: ssl.SSLContext | None = None) -> str:
    with urllib.request.urlopen(url, timeout=30, context=context) as reply:
        text: str = reply.read().decode()
        return text


def test_it_answers_while_it_runs() -> None:
    """Inside the block requests are answered; after it the thread is gone and nobody listens."""
    with Greeter() as server:
        assert "hello" == fetched(server.url)
        port = server.port
    assert "tenantry-greeter" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_a_restart_keeps_the_port() -> None:
    """Clients find a restarted server where it was."""
    server = Greeter()
    with server:
        first = server.url
    with server:
        assert first == server.url
        assert "hello" == fetched(first)


def test_starting_twice_is_refused() -> None:
    """A server runs once; stopping it twice is harmless."""
    with Greeter() as server:
        with pytest.raises(RuntimeError, match="already running"):
            server.start()
        server.stop()
        server.stop()


def test_a_stopped_server_has_no_address() -> None:
    """Who asks a server that does not run for its address is told what to do."""
    with pytest.raises(RuntimeError, match="context manager"):
        _ = Greeter().url


def test_a_taken_port_is_an_error() -> None:
    """A port that somebody else has is refused at once."""
    with Greeter() as server, pytest.raises(OSError, match="in use"):
        Greeter(port=server.port).start()


def test_an_open_connection_does_not_hold_up_the_end() -> None:
    """A client that says nothing is disconnected when the server stops."""
    with Greeter() as server:
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
        assert "hello" == fetched(server.url)
    with connection:
        assert b"" == _rest(connection)


def _rest(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1)
    except ConnectionResetError:
        return b""


def test_tls_is_verified(tmp_path: Path) -> None:
    """With a certificate it serves https, which only those trust who trust its authority."""
    authority = CertificateAuthority(tmp_path)
    trusting = ssl.create_default_context(cafile=str(authority.ca_file))
    with Greeter(certificate=authority.server()) as server:
        assert server.url.startswith("https://")
        assert "hello" == fetched(server.url, trusting)
        with pytest.raises(OSError, match="certificate verify failed"):
            fetched(server.url, ssl.create_default_context())


def test_client_certificates_are_demanded(tmp_path: Path) -> None:
    """A server that is told of a client authority talks to nobody without its certificate."""
    authority = CertificateAuthority(tmp_path)
    client = authority.client("acme")
    with Greeter(certificate=authority.server(client_ca_file=authority.ca_file)) as server:
        context = ssl.create_default_context(cafile=str(authority.ca_file))
        with pytest.raises(OSError, match=r"certificate required|EOF|reset|closed"):
            fetched(server.url, context)
        context.load_cert_chain(client.certificate_file, client.key_file)
        assert "hello" == fetched(server.url, context)
    assert client.combined_file.read_text().count("BEGIN") == 2


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without uvicorn the error names the extra that brings it."""
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'tenantry\[testing\]'"):
        Greeter().start()


def test_an_application_has_to_be_given() -> None:
    """The base class serves nothing by itself."""
    with pytest.raises(NotImplementedError):
        LoopbackServer().start()
