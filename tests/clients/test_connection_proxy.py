"""By which way a tenant's connections go: its own proxy, or the environment's if it asks for it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import openai
import pytest
from pydantic import SecretStr

from tenantry import ClientRegistry
from tenantry.testing import CertificateAuthority, OpenAIServer
from tenantry.testing.proxy import ProxyServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "sk-acme-0123456789"
PASSWORD = "hunter2-of-the-proxy"
WAYS = ("sync", "httpx", "aiohttp")  # the three libraries that sockets are made with


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(params=["http", "https"])
def server(
    request: pytest.FixtureRequest, authority: CertificateAuthority
) -> Iterator[OpenAIServer]:
    certificate = authority.server() if request.param == "https" else None
    with OpenAIServer(keys=[KEY], certificate=certificate) as running:
        yield running


@pytest.fixture(params=["http", "https"])
def proxy(request: pytest.FixtureRequest, authority: CertificateAuthority) -> Iterator[ProxyServer]:
    certificate = authority.server() if request.param == "https" else None
    with ProxyServer(username="acme", password=PASSWORD, certificate=certificate) as running:
        yield running


def tenant(server: OpenAIServer, way: str) -> dict[str, Any]:
    http = "auto" if way == "sync" else way
    return {
        "base_url": server.base_url,
        "api_key": SecretStr(KEY),
        "http": http,
        "max_retries": 0,
    }


def proxied(
    authority: CertificateAuthority, server: OpenAIServer, proxy: ProxyServer, way: str, word: str
) -> dict[str, Any]:
    return {
        **tenant(server, way),
        "tls": {"ca": str(authority.ca_file)},
        "proxy": {"url": proxy.url, "username": "acme", "password": SecretStr(word)},
    }


def listed(registry: ClientRegistry, way: str) -> list[str]:
    """List the models by the tenant's client."""
    if way == "sync":
        return [model.id for model in registry.client("acme").models.list().data]

    async def models() -> list[str]:
        async with registry:
            return [model.id for model in (await registry.async_client("acme").models.list()).data]

    return asyncio.run(models())


@pytest.mark.parametrize("way", WAYS)
def test_a_proxy_is_logged_in_to(
    authority: CertificateAuthority,
    server: OpenAIServer,
    proxy: ProxyServer,
    way: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever proxy and address speak, requests go by the proxy, which knows who comes.

    The server learns nothing of the proxy's password, and no log either.
    """
    caplog.set_level(logging.DEBUG)
    config = {"tenants": {"acme": proxied(authority, server, proxy, way, PASSWORD)}}
    with ClientRegistry.open(config, environ={}) as registry:
        assert "gpt-4o-mini" in listed(registry, way)
    tunnel = server.url.startswith("https")
    assert [("CONNECT" if tunnel else "GET", "acme", 200 if tunnel else 0)] == [
        (each.method, each.username, each.status) for each in proxy.requests
    ]
    [request] = server.requests
    assert "proxy-authorization" not in dict(request.headers)
    assert PASSWORD not in caplog.text


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("login", "name"),
    [({}, None), ({"username": "acme"}, "acme"), ({"password": SecretStr(PASSWORD)}, "")],
    ids=["nobody", "a name alone", "a password alone"],
)
def test_a_proxy_may_want_less(way: str, login: dict[str, Any], name: str | None) -> None:
    """Nothing, a name, or a password alone is what a proxy is told, if that is what is said."""
    with OpenAIServer(keys=[KEY]) as server, ProxyServer() as proxy:
        said = {**tenant(server, way), "proxy": {"url": proxy.url, **login}}
        with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as registry:
            assert "gpt-4o-mini" in listed(registry, way)
        assert [name] == [each.username for each in proxy.requests]


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("way", WAYS)
def test_a_proxy_that_refuses(
    authority: CertificateAuthority,
    server: OpenAIServer,
    proxy: ProxyServer,
    way: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A wrong password ends as 407, and neither error nor log shows it, or the tenant's key."""
    caplog.set_level(logging.DEBUG)
    config = {"tenants": {"acme": proxied(authority, server, proxy, way, "hunter2-but-wrong")}}
    with (
        ClientRegistry.open(config, environ={}) as registry,
        pytest.raises(openai.APIError) as caught,
    ):
        listed(registry, way)
    errors = list(chain(caught.value))
    assert any("407" in str(error) for error in errors)
    shown = "".join(f"{error!s} {error!r}" for error in errors) + caplog.text
    # As it is, and as it travels: `acme:hunter2-but-wrong` in base 64.
    for secret in ("hunter2", "YWNtZTpodW50ZXI", KEY):
        assert secret not in shown
    assert {407} == {each.status for each in proxy.requests}
    assert () == server.requests


# -- the environment ------------------------------------------------------------------------------

ELSEWHERE = "http://127.0.0.1:9"


@pytest.mark.parametrize("way", WAYS)
def test_the_environment_leads_nowhere_else(
    authority: CertificateAuthority,
    server: OpenAIServer,
    way: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Proxies, trust and passwords of the environment have no part in any library's sockets."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login evil password evil\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    monkeypatch.setenv("SSL_CERT_DIR", "/nowhere")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, ELSEWHERE)
        monkeypatch.setenv(name.lower(), ELSEWHERE)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    said = {**tenant(server, way), "tls": {"ca": str(authority.ca_file)}}
    with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as registry:
        assert "gpt-4o-mini" in listed(registry, way)
    assert [KEY] == [request.key for request in server.requests]


@pytest.mark.parametrize("way", WAYS)
def test_a_tenant_may_ask_for_the_environments_way(
    authority: CertificateAuthority, server: OpenAIServer, proxy: ProxyServer, way: str
) -> None:
    """With `inherit_environment` its proxy, with password, and its trust are the tenant's."""
    login = proxy.url.replace("//", f"//acme:{PASSWORD}@")
    environ = {"ALL_PROXY": login, "SSL_CERT_FILE": str(authority.ca_file)}
    said = {**tenant(server, way), "inherit_environment": True}
    with ClientRegistry.open({"tenants": {"acme": said}}, environ=environ) as registry:
        shown = registry.explain("acme")
        assert "gpt-4o-mini" in listed(registry, way)
    assert ["acme"] == [each.username for each in proxy.requests]
    assert PASSWORD not in repr(shown)
