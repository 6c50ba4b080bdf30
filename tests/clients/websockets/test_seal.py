"""WebSockets go to the tenant's own address and by its own way, whatever anybody else says."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

import openai
import pytest
from pydantic import SecretStr
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.uri import parse_proxy

from tenantry import ConfigError, MissingExtraError, TenantBoundaryError
from tenantry.clients.http import httpx
from tenantry.clients.websockets.seal import proxy_address
from tenantry.testing.proxy import ProxyServer

if TYPE_CHECKING:
    from tests.clients.websockets.conftest import Elsewhere, Line

    from tenantry.testing.certificates import CertificateAuthority
    from tenantry.testing.openai import OpenAIServer

# -- where to -------------------------------------------------------------------------------------


async def test_sockets_have_an_address_of_their_own(line: Line, elsewhere: OpenAIServer) -> None:
    """`websocket_base_url` of the settings is where WebSockets go, and requests do not."""
    path = "/t-acme/openai" if line.is_azure else "/t-acme/v1"
    client = line.client(websocket_base_url=f"ws://127.0.0.1:{elsewhere.port}{path}")
    async with line.open(client):
        request = elsewhere.requests[-1]
        assert (f"{path}/realtime", line.acme.key) == (
            request.path,
            line.acme.credential_of(request),
        )
    await line.acme.chat(client)
    assert [200] == line.statuses()


async def test_a_client_cannot_be_turned_elsewhere(line: Line, nowhere: Elsewhere) -> None:
    """Setting another address on a client, or its clone, does not take its key along."""
    client = line.client()
    for each in (client, client.with_options(timeout=5)):
        each.websocket_base_url = f"ws://{nowhere.address}/v1"
        for turned in (each, each.with_options(max_retries=1)):
            with pytest.raises(TenantBoundaryError, match="another address") as caught:
                await line.shake(turned)
            assert isinstance(caught.value, openai.OpenAIError)
    assert not nowhere.reached


async def test_another_base_url_is_not_followed(line: Line, nowhere: Elsewhere) -> None:
    """Where WebSockets go by the base URL, another one that is set later does not count."""
    client = line.client()
    client.base_url = f"http://{nowhere.address}/v1"
    if line.is_azure:  # there they have an address of their own
        assert 101 == (await line.shake(client)).status
    else:
        with pytest.raises(TenantBoundaryError, match="another address"):
            await line.shake(client)
    assert not nowhere.reached


async def test_a_connection_that_is_turned_later_sends_nothing(
    line: Line, nowhere: Elsewhere
) -> None:
    """An address that is set after `connect`, and before the handshake, is refused as well."""
    client = line.client()
    manager = client.realtime.connect(model="gpt-realtime")
    client.websocket_base_url = f"ws://{nowhere.address}/v1"
    with pytest.raises(TenantBoundaryError, match="another address"):
        await line.acme.settle(manager.enter())
    assert not nowhere.reached


@pytest.mark.parametrize("url", ["ws://elsewhere.example/v1", "wss://127.0.0.1/v1"])
def test_each_handshake_is_looked_at(line: Line, url: str) -> None:
    """However it came about: a handshake with another address is refused before it is stamped."""
    manager = line.client().realtime.connect(model="gpt-realtime")
    with pytest.raises(TenantBoundaryError, match="another address"):
        manager.seal.request(httpx.URL(url), [])


def test_a_clone_has_no_other_address(line: Line) -> None:
    """`with_options(websocket_base_url=...)` is refused, but for the tenant's own."""
    client = line.client(websocket_base_url=line.address)
    with pytest.raises(TenantBoundaryError, match="websocket_base_url is not an option"):
        client.with_options(websocket_base_url="wss://elsewhere.example")
    assert line.address == client.with_options(websocket_base_url=line.address).websocket_base_url


@pytest.mark.parametrize(
    "path", ["../../t-globex/v1", "%2e%2e/%2E%2e/t-globex/v1", "..;/..;/t-globex/v1", "..\\..\\x"]
)
async def test_a_path_does_not_lead_out(line: Line, path: str) -> None:
    """An address that leads to another path of the same host is refused."""
    own = f"ws://127.0.0.1:{line.server.port}/t-acme/v1"
    client = line.client(websocket_base_url=own)
    client.websocket_base_url = f"{own}/{path}"
    with pytest.raises(TenantBoundaryError, match="leads out"):
        await line.shake(client)
    assert () == line.server.requests


@pytest.mark.parametrize("place", ["live.forks", "live.sideband"])
@pytest.mark.parametrize(
    "session", ["../../../t-globex", "..", "a/../../b", "?x=", "%2e%2e%2f%2e%2e"]
)
async def test_an_id_does_not_lead_out(line: Line, place: str, session: str) -> None:
    """The id of a session stays one part of the path, whatever it says, or is refused."""
    client = line.client()
    line.resource(client, place)
    with contextlib.suppress(TenantBoundaryError, ValueError, InvalidStatus):
        await line.shake(client, place, session_id=session)
    prefix = "/openai/live/sessions/" if line.is_azure else "/v1/live/sessions/"
    depth = prefix.count("/") + 1
    assert [] == [
        request.path
        for request in line.server.requests
        if not request.path.startswith(prefix) or request.path.count("/") != depth
    ]


async def test_a_query_stays_a_query(line: Line) -> None:
    """A model, or a query, with the signs of paths and queries leads nowhere else."""
    said = "../../t-globex/v1?x=1#y"
    request = await line.shake(line.client(), model=said, extra_query={"a&b": said})
    model = request.query["deployment" if line.is_azure else "model"]
    assert request.path.endswith("/realtime")
    assert ([said], [said]) == (model, request.query["a&b"])


async def test_an_address_with_a_login_is_refused(line: Line) -> None:
    """What stands before an `@` would be sent as a credential: it is not."""
    client = line.client()
    client.websocket_base_url = line.address.replace("//", "//user:password@")
    with pytest.raises(TenantBoundaryError, match="carries a credential"):
        await line.shake(client)
    assert () == line.server.requests


# -- what a caller may say ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION", "Api-Key"])
async def test_a_foreign_credential_is_not_sent(line: Line, name: str) -> None:
    """A header with a credential that is not the tenant's is refused in any spelling."""
    client, foreign = line.client(), line.acme.foreign_key
    for value in (f"Bearer {foreign}", foreign, "Basic YTpi"):
        with pytest.raises(TenantBoundaryError, match="not the tenant's") as caught:
            await line.shake(client, extra_headers={name: value})
        assert foreign not in str(caught.value)
    assert () == line.server.requests


@pytest.mark.parametrize("name", ["Host", "host", "HOST"])
async def test_a_foreign_host_is_not_sent(line: Line, name: str) -> None:
    """A `Host` header that is not the URL's is refused; the URL's own passes, and is sent once."""
    client, own = line.client(), f"127.0.0.1:{line.server.port}"
    with pytest.raises(TenantBoundaryError, match="Host header"):
        await line.shake(client, extra_headers={name: "elsewhere.example"})
    assert () == line.server.requests
    assert own == (await line.shake(client, extra_headers={name: own})).header["host"]


FOREIGN: dict[str, Any] = {
    "proxy": "http://127.0.0.1:9",
    "sock": object(),
    "host": "127.0.0.1",
    "port": 9,
    "ssl": object(),
    "server_hostname": "elsewhere.example",
    "unix": True,
    "create_connection": object,
    "additional_headers": {},
}


@pytest.mark.parametrize("option", FOREIGN)
def test_options_that_could_lead_past_the_gate_are_refused(line: Line, option: str) -> None:
    """Another proxy, socket, trust or class of connections is refused by name."""
    options = {option: FOREIGN[option]}
    with pytest.raises(TenantBoundaryError, match=rf"\[{option}\] could lead past the gate"):
        line.client().realtime.connect(model="gpt-realtime", websocket_connection_options=options)


async def test_harmless_options_are_passed_on(line: Line) -> None:
    """Sizes, times and protocols are the caller's business, and reach the connection."""
    options = {"max_size": 10, "open_timeout": 5, "compression": None}
    client = line.client()
    async with line.open(client, websocket_connection_options=options) as connection:
        with pytest.raises(ConnectionClosed, match="1009"):
            await line.hear(connection)
    assert ["max_size", "open_timeout", "compression"] == list(options)


# -- the way there --------------------------------------------------------------------------------


async def test_the_environment_has_no_say(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither proxies nor keys of the environment reach a handshake."""
    client = line.client()
    with ProxyServer() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy", "ws_proxy", "wss_proxy"):
            monkeypatch.setenv(name, proxy.url)
            monkeypatch.setenv(name.upper(), proxy.url)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
        monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer of-the-environment")
        for each in (client, client.with_options(timeout=5)):
            assert line.acme.key == line.acme.credential_of(await line.shake(each))
        assert () == proxy.requests


async def test_the_tenants_own_proxy_is_taken(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    """A tenant's proxy is asked for a tunnel, with its login, which is written down nowhere."""
    caplog.set_level(logging.DEBUG)
    password = "p@ss:word&%41"
    with ProxyServer(username="acme", password=password) as proxy:
        said = {"url": proxy.url, "username": "acme", "password": SecretStr(password)}
        request = await line.shake(line.client(proxy=said))
        assert line.acme.key == line.acme.credential_of(request)
        assert [("CONNECT", f"127.0.0.1:{line.server.port}", "acme")] == [
            (each.method, each.target, each.username) for each in proxy.requests
        ]
    assert password not in caplog.text


async def test_trust_is_the_tenants(
    line: Line, authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A handshake over TLS trusts what the settings trust, and not what the environment does."""
    with line.over_tls(authority) as (server, said):
        async with line.open(line.acme.client(**said)):
            assert line.acme.key == line.acme.credential_of(server.requests[-1])
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            await line.shake(line.acme.client(**{**said, "tls": {}}))
        assert 1 == len(server.requests)


async def test_tls_goes_through_an_https_proxy(line: Line, authority: CertificateAuthority) -> None:
    """Through a proxy that speaks TLS itself, both are trusted by the tenant's settings."""
    with (
        line.over_tls(authority) as (server, said),
        ProxyServer(certificate=authority.server()) as proxy,
    ):
        async with line.open(line.acme.client(**said, proxy=proxy.url)):
            assert line.acme.key == line.acme.credential_of(server.requests[-1])
        assert ["CONNECT"] == [each.method for each in proxy.requests]


async def test_an_old_package_is_refused(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `websockets` that cannot be kept from the environment's proxies is refused by name."""
    monkeypatch.setattr("websockets.version.version", "14.2")
    with pytest.raises(MissingExtraError, match=r"tenantry\[realtime\]"):
        await line.shake(line.client())
    assert () == line.server.requests


@pytest.mark.parametrize("password", ["", "plain", "p@ss:word", "100%", "%41"])
def test_a_proxys_login_is_said_as_it_is(password: str) -> None:
    """`websockets` reads the login out of the address that it is given; the address prints none."""
    address = proxy_address(httpx.Proxy("http://127.0.0.1:3128", auth=("acme", password)))
    assert ("acme", password) == parse_proxy(address).user_info
    assert "<a proxy>" == repr(address)


def test_a_proxy_without_a_login_is_said_as_it_is() -> None:
    """Without a login the address is the one of the settings."""
    assert "http://127.0.0.1:3128" == proxy_address(httpx.Proxy("http://127.0.0.1:3128"))


@pytest.mark.parametrize("password", ["a/b?c#d", "pässword"])
def test_a_login_that_cannot_be_said_is_refused(password: str) -> None:
    """A password that an address cannot hold is an error, which does not show it."""
    proxy = httpx.Proxy("http://127.0.0.1:3128", auth=("acme", password))
    with pytest.raises(ConfigError, match=r"proxy\.password") as caught:
        proxy_address(proxy)
    assert password not in str(caught.value)
