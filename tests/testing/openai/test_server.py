from __future__ import annotations

import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import openai
import pytest

from tenantry.testing.certificates import CertificateAuthority
from tenantry.testing.openai import OpenAIServer

if TYPE_CHECKING:
    from pathlib import Path

KEY = "sk-acme-0123456789"


def call(server: OpenAIServer, key: str = KEY) -> None:
    with openai.OpenAI(base_url=server.base_url, api_key=key, max_retries=0) as client:
        client.models.list()


def test_urls_are_what_the_clients_take() -> None:
    """Base URL, Azure endpoint and exchange URL are those of the running server."""
    with OpenAIServer() as server:
        assert (f"{server.url}/v1", server.url, f"{server.url}/oauth/token") == (
            server.base_url,
            server.azure_endpoint,
            server.token_exchange_url,
        )


def test_constructor_keys_are_valid() -> None:
    """Keys given to the constructor need no allow()."""
    with OpenAIServer(keys=["k1", "k2"]) as server:
        call(server, "k1")
        call(server, "k2")
        assert 2 == server.count(status=200)


def test_strangers_are_refused_by_default() -> None:
    """With no key allowed nobody is served."""
    with OpenAIServer() as server, pytest.raises(openai.AuthenticationError):
        call(server)


def test_any_key_can_be_accepted() -> None:
    """With accept_any a stranger is served, and a revoked key is not."""
    with OpenAIServer(accept_any=True) as server:
        call(server)
        server.revoke(KEY)
        with pytest.raises(openai.AuthenticationError):
            call(server)


def test_requests_are_counted_by_what_they_have(server: OpenAIServer) -> None:
    """Counting takes key, tenant, status, method and the end of the path, all at once."""
    server.allow("k2", tenant="globex")
    call(server)
    call(server, "k2")
    assert (2, 1, 1, 2, 0, 0) == (
        server.count(),
        server.count(key="k2"),
        server.count(tenant="acme", status=200),
        server.count(method="GET", path="/models"),
        server.count(tenant="acme", key="k2"),
        server.count(path="/chat/completions"),
    )


def test_each_client_has_its_connection(server: OpenAIServer) -> None:
    """Distinct clients are distinct connections until they are cleared."""
    call(server)
    call(server)
    before = server.connections
    server.clear()
    assert (2, 0, ()) == (before, server.connections, server.requests)


def test_memory_is_bounded() -> None:
    """Only the newest requests are kept, and the dropped ones counted."""
    with OpenAIServer(keys=[KEY], max_recorded=2) as server:
        for _ in range(3):
            call(server)
        assert ([2, 3], 1) == ([request.sequence for request in server.requests], server.dropped)


def test_recording_can_be_off() -> None:
    """Without recording requests are served, and connections still counted."""
    with OpenAIServer(keys=[KEY], record=False) as server:
        call(server)
        assert ((), 1) == (server.requests, server.connections)


def test_state_outlives_a_restart(server: OpenAIServer) -> None:
    """Keys and records stay when the server is stopped and started again."""
    call(server)
    server.stop()
    server.start()
    call(server)
    assert 2 == server.count(tenant="acme")


def test_https_is_served(tmp_path: Path) -> None:
    """With a certificate the same API is behind TLS that the client verifies."""
    authority = CertificateAuthority(tmp_path)
    context = ssl.create_default_context(cafile=str(authority.ca_file))
    with (
        OpenAIServer(keys=[KEY], certificate=authority.server()) as server,
        openai.DefaultHttpxClient(verify=context) as http_client,
        openai.OpenAI(base_url=server.base_url, api_key=KEY, http_client=http_client) as client,
    ):
        client.models.list()
        assert "https" == server.url.partition(":")[0]


def test_a_request_is_in_flight_until_its_answer(server: OpenAIServer) -> None:
    """A request counts from its headers on, and no more for whoever has the answer."""
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall(
            f"POST /v1/responses HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\n"
            f"content-length: 14\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n".encode()
        )
        # Only a request that is being served is told to continue: no need to wait and see.
        asked = raw.recv(4096)
        during = server.in_flight
        raw.sendall(b'{"model": "m"}')
        answer = b"".join(iter(lambda: raw.recv(4096), b""))
    assert (b"HTTP/1.1 100", b"HTTP/1.1 200") == (asked[:12], answer[:12])
    assert (1, 0) == (during, server.in_flight)


def test_threads_are_all_recorded(server: OpenAIServer, client: openai.OpenAI) -> None:
    """Requests of many threads each have a record with a number of its own."""
    barrier = threading.Barrier(8)

    def work(_number: int) -> None:
        barrier.wait()
        for _ in range(5):
            client.models.list()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert list(range(1, 41)) == [request.sequence for request in server.requests]
    assert 0 == server.in_flight


@pytest.mark.parametrize("status", [0, 200, 307, 399, 600])
def test_only_errors_are_failures(server: OpenAIServer, status: int) -> None:
    """fail_next() takes 4xx and 5xx."""
    with pytest.raises(ValueError, match=r"^fail_next\(\) takes a status from 400 to 599"):
        server.fail_next(status)


def test_only_redirects_redirect(server: OpenAIServer) -> None:
    """redirect_next() takes 3xx."""
    with pytest.raises(ValueError, match=r"^redirect_next\(\) takes a status of 3xx, not 200$"):
        server.redirect_next("/", status=200)


def test_a_cut_is_not_negative(server: OpenAIServer) -> None:
    """cut_stream() takes no negative number."""
    with pytest.raises(ValueError, match=r"^cut_stream\(\) takes no negative number: -1$"):
        server.cut_stream(after_events=-1)
