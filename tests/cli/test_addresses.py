"""Addresses: reached, trusted, and what time it is there."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tenantry.cli.addresses import Address, Visit, addresses_of, visits
from tenantry.cli.fresh import fresh
from tenantry.cli.terminal import Terminal
from tenantry.settings import TlsSettings
from tenantry.testing import CertificateAuthority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOON = 1_767_268_800.0  # 2026-01-01 12:00:00
DATE = "Thu, 01 Jan 2026 12:00:00 GMT"


@contextmanager
def answering(reply: bytes, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Answer one connection with some bytes; gives the port."""

    def answer() -> None:
        try:
            connection, _ = server.accept()
            if context is not None:
                connection = context.wrap_socket(connection, server_side=True)
            with connection:
                connection.recv(65_536)
                connection.sendall(reply)
        except OSError:
            pass  # who asked went away, as one does who does not trust

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        thread = threading.Thread(target=answer)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def visited(address: Address, timeout: float = 30.0) -> Visit:
    [visit] = visits([address], timeout, now=lambda: NOON)
    return visit


def head(*lines: str) -> bytes:
    return "\r\n".join(["HTTP/1.1 404 Not Found", *lines, "", ""]).encode()


@pytest.mark.parametrize(
    ("date", "skew"),
    [
        (f"Date: {DATE}", 0.0),
        (f"Date: {DATE.replace('12:00:00', '12:05:00')}", 300.0),
        (f"Date: {DATE.replace('12:00:00', '11:59:00')}", 59.0),  # or 60: it has whole seconds
        ("Date: yesterday", None),
        ("Server: none", None),
    ],
)
def test_what_time_it_is_there(date: str, skew: float | None) -> None:
    """Clocks are compared where a Date is told; whatever the status."""
    with answering(head(date)) as port:
        visit = visited(Address(f"http://127.0.0.1:{port}"))

    assert ("", skew, None) == (visit.fault, visit.skew, visit.days_left)


def test_who_is_trusted(tmp_path: Path) -> None:
    """A certificate counts for the authority that is named, and tells how long it does."""
    authority = CertificateAuthority(tmp_path)
    files = authority.server()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.certificate_file, files.key_file)
    with answering(head(), context) as port:
        address = Address(f"https://127.0.0.1:{port}", TlsSettings(ca=authority.ca_file))
        visit = visited(address)
    assert "" == visit.fault
    assert visit.days_left is not None
    with answering(head(), context) as port:
        refused = visited(Address(f"https://127.0.0.1:{port}"))
    assert "its certificate is not trusted: " in refused.fault
    assert "tls: {ca: FILE}" in refused.step


def test_what_is_no_http() -> None:
    """Another protocol, and TLS where there is none, are told apart from silence."""
    with answering(b"220 mail.example ESMTP\r\n") as port:
        assert "speaks no HTTP" == visited(Address(f"http://127.0.0.1:{port}")).fault
    with answering(b"220 mail.example ESMTP\r\n") as port:
        assert "speaks no TLS that we speak" == visited(Address(f"https://127.0.0.1:{port}")).fault


def test_silence() -> None:
    """Who does not answer has so many seconds, and nobody at all is a refusal."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert "no answer in 0.2 s" == visited(Address(f"http://127.0.0.1:{port}"), 0.2).fault
    refused = visited(Address(f"http://127.0.0.1:{port}"))
    assert "cannot be reached: connection refused" == refused.fault


def test_an_authority_that_is_not_there(tmp_path: Path) -> None:
    """A `tls.ca` that cannot be read is told as such."""
    address = Address("https://127.0.0.1:1", TlsSettings(ca=tmp_path / "none.pem"))

    assert "look at `tls.ca`" == visited(address).step


def test_each_address_once() -> None:
    """Sources come first, tenants share addresses, and who has a proxy is counted apart."""
    said: dict[str, Any] = {
        "sources": {
            "vault": {"address": "https://vault.example:8200/", "auth": {"token_file": "/t"}}
        },
        "defaults": {"api_key": {"env": "KEY"}},
        "tenants": {
            "acme": {},
            "globex": {},
            "eu": {"data_residency": "eu"},
            "behind": {"proxy": {"url": "http://proxy.example:3128"}},
            "own": {"base_url": "https://own.example:8443/v1/"},
        },
    }
    with fresh(Terminal(), said) as read:
        found = addresses_of(read)

    assert [
        "https://vault.example:8200",
        "https://api.openai.com",
        "https://eu.api.openai.com",
        "https://own.example:8443",
    ] == [address.origin for address in found.reached]
    assert 1 == found.behind_proxies
