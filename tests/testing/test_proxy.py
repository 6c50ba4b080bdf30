"""A proxy on a loopback port tunnels, forwards, asks who it is, and remembers."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from tenantry.testing import CertificateAuthority, OpenAIServer
from tenantry.testing.proxy import ProxiedRequest, ProxyServer

if TYPE_CHECKING:
    from pathlib import Path


def fetched(url: str, proxy: str, context: ssl.SSLContext | None = None) -> int:
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({"http": proxy, "https": proxy}),
        urllib.request.HTTPSHandler(context=context),
    )
    request = urllib.request.Request(url, headers={"Authorization": "Bearer k"})
    with opener.open(request, timeout=30) as reply:
        status: int = reply.status
        return status


def test_it_forwards_whole_urls() -> None:
    """A plain request is passed on, and remembered as it was asked for."""
    with OpenAIServer(keys=["k"]) as server, ProxyServer() as proxy:
        url = f"{server.base_url}/models"
        assert [200, 200] == [fetched(url, proxy.url) for _ in range(2)]
        assert (ProxiedRequest("GET", url, None, 0),) * 2 == proxy.requests
        assert not any(name.startswith("proxy-") for name, _ in server.requests[0].headers)


def test_it_tunnels(tmp_path: Path) -> None:
    """An https request goes through a tunnel, of which the proxy knows the address alone."""
    authority = CertificateAuthority(tmp_path)
    context = ssl.create_default_context(cafile=authority.ca_file)
    server = OpenAIServer(keys=["k"], certificate=authority.server())
    with server, ProxyServer() as proxy:
        assert 200 == fetched(f"{server.base_url}/models", proxy.url, context)
        target = server.url.removeprefix("https://")
        assert (ProxiedRequest("CONNECT", target, None, 200),) == proxy.requests


def test_it_asks_who_it_is() -> None:
    """Who does not say name and password is refused, and who does is remembered by name."""
    with OpenAIServer(keys=["k"]) as server, ProxyServer(username="u", password="p") as proxy:
        url = f"{server.base_url}/models"
        with pytest.raises(urllib.error.HTTPError, match="407") as caught:
            fetched(url, proxy.url)
        caught.value.close()
        assert 200 == fetched(url, proxy.url.replace("//", "//u:p@"))
        assert [(None, 407), ("u", 0)] == [(each.username, each.status) for each in proxy.requests]


def test_a_server_that_is_not_there() -> None:
    """What cannot be reached is a bad gateway."""
    with ProxyServer() as proxy:
        with pytest.raises(urllib.error.HTTPError, match="502") as caught:
            fetched("http://127.0.0.1:9/", proxy.url)
        caught.value.close()


def test_a_stopped_proxy_is_gone() -> None:
    """After the block nobody listens; stopping twice, or before the start, is harmless."""
    proxy = ProxyServer()
    proxy.stop()
    with proxy:
        url = proxy.url
    proxy.stop()
    with pytest.raises(urllib.error.URLError):
        fetched("http://127.0.0.1:9/", url)
