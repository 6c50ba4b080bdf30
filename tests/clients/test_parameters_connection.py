"""`pool`, `proxy` and `tls`: how a tenant's connections are made."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import openai
import pytest

from tenantry import ClientRegistry, ConfigError, CredentialUnavailableError
from tenantry.clients import connection, http
from tenantry.testing import CertificateAuthority, OpenAIServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.clients.conftest import Acme, Client, Echo


async def at_once(acme: Acme, client: Client, count: int) -> None:
    """Send requests side by side: tasks for an async client, threads for a sync one."""
    if acme.kind.is_async:
        await asyncio.gather(*(acme.chat(client) for _ in range(count)))
        return

    def chat() -> None:
        asyncio.run(acme.chat(client))

    await asyncio.gather(*(asyncio.to_thread(chat) for _ in range(count)))


# -- pool -----------------------------------------------------------------------------------------


async def test_a_tenant_opens_no_more_sockets_than_it_says(acme: Acme) -> None:
    """With `max_connections: 2`, ten requests at once share two sockets."""
    acme.server.slow(0.02)
    await at_once(acme, acme.client(pool={"max_connections": 2}), 10)
    assert 2 == acme.server.connections


async def test_a_socket_is_used_again(acme: Acme) -> None:
    """By default requests in a row, those of clones included, share one socket."""
    client = acme.client()
    for each in (client, client.with_options(timeout=5), client):
        await acme.chat(each)
    assert 1 == acme.server.connections


@pytest.mark.parametrize("said", [{"max_keepalive_connections": 0}, {"keepalive_expiry": 0}])
async def test_a_socket_is_not_kept_where_it_is_said(acme: Acme, said: dict[str, int]) -> None:
    """Without idle sockets every request opens one of its own."""
    client = acme.client(pool=said)
    for _ in range(3):
        await acme.chat(client)
    assert 3 == acme.server.connections


# -- proxy ----------------------------------------------------------------------------------------


async def test_requests_go_through_the_proxy(acme: Acme, echo: Echo) -> None:
    """With `proxy` the proxy is asked for the whole URL."""
    host = "http://openai.invalid"
    address: dict[str, Any] = (
        {"azure_endpoint": host} if acme.kind.is_azure else {"base_url": f"{host}/v1"}
    )
    client = acme.client(proxy=echo.url, **address)
    for each in (client, client.with_options(timeout=5)):
        await acme.settle(each.models.list())
    path = "/openai/models?api-version=2024-10-21" if acme.kind.is_azure else "/v1/models"
    assert [f"GET {host}{path} HTTP/1.1"] * 2 == [line for line, _ in echo.seen]


async def test_https_goes_through_a_tunnel(acme: Acme, echo: Echo) -> None:
    """For an https address the proxy is asked for a tunnel, and sees neither path nor key."""
    host = "https://openai.invalid"
    address: dict[str, Any] = (
        {"azure_endpoint": host} if acme.kind.is_azure else {"base_url": f"{host}/v1"}
    )
    client = acme.client(proxy=echo.url, max_retries=0, **address)
    with pytest.raises(openai.APIConnectionError):
        await acme.chat(client)
    assert [("CONNECT openai.invalid:443 HTTP/1.1", {})] == echo.seen


# -- tls ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def secure(authority: CertificateAuthority, acme: Acme) -> Iterator[OpenAIServer]:
    """Acme's server, with a certificate of an authority that nobody knows."""
    with OpenAIServer(keys=[acme.key], certificate=authority.server()) as server:
        acme.server = server
        yield server


async def test_the_authority_that_is_named_is_trusted(
    acme: Acme, secure: OpenAIServer, authority: CertificateAuthority
) -> None:
    """With `tls.ca` a server whose certificate it signed is spoken to, by clones as well."""
    client = acme.client(tls={"ca": str(authority.ca_file)})
    for each in (client, client.with_options(timeout=5)):
        assert 200 == (await acme.sent(each)).status


async def test_an_unknown_authority_is_not_trusted(acme: Acme, secure: OpenAIServer) -> None:
    """Without `tls.ca` no request reaches a server that an unknown authority vouches for."""
    with pytest.raises(openai.APIConnectionError) as caught:
        await acme.chat(acme.client(max_retries=0))
    assert "CERTIFICATE_VERIFY_FAILED" in str(caught.value.__cause__)
    assert () == secure.requests


async def test_trusting_anybody_is_warned_about_once(
    acme: Acme, secure: OpenAIServer, caplog: pytest.LogCaptureFixture
) -> None:
    """`verify: false` speaks to anybody, and is logged once per process, not once per tenant."""
    http.contexts.clear()
    for _ in range(2):
        assert 200 == (await acme.sent(acme.client(tls={"verify": False}))).status
    warnings = [each for each in caplog.records if "not verified" in each.getMessage()]
    assert 1 == len(warnings)


@pytest.mark.parametrize("content", [None, "no certificate"], ids=["missing", "not PEM"])
def test_an_authority_that_cannot_be_read_is_named(
    acme: Acme, tmp_path: Path, content: str | None
) -> None:
    """Where `tls.ca` cannot be read, the error names setting and file."""
    ca = tmp_path / "ca.pem"
    if content is not None:
        ca.write_text(content)
    with pytest.raises(ConfigError, match=r"tls\.ca: .*ca\.pem cannot be read"):
        acme.client(tls={"ca": str(ca)})


@pytest.fixture
def mutual(authority: CertificateAuthority, acme: Acme) -> Iterator[OpenAIServer]:
    """Acme's server, which answers nobody without a certificate of the authority."""
    certificate = replace(authority.server(), client_ca_file=authority.ca_file)
    with OpenAIServer(keys=[acme.key], certificate=certificate) as server:
        acme.server = server
        yield server


async def test_a_clients_own_certificate_is_shown(
    acme: Acme, mutual: OpenAIServer, authority: CertificateAuthority
) -> None:
    """With `tls.certificate` and `tls.key`, files or secrets, a server that wants one answers."""
    mine = authority.client("acme")
    trust = {"ca": str(authority.ca_file)}
    key = {"file": str(mine.key_file)}
    for certificate in (str(mine.certificate_file), {"file": str(mine.certificate_file)}):
        client = acme.client(tls={**trust, "certificate": certificate, "key": key})
        for each in (client, client.with_options(timeout=5)):
            assert 200 == (await acme.sent(each)).status


async def test_a_new_key_opens_new_sockets(
    acme: Acme, mutual: OpenAIServer, authority: CertificateAuthority
) -> None:
    """A certificate that was replaced at its source is used by the next request."""
    mine = authority.client("acme")
    pair = {"file": str(mine.combined_file)}
    registry = acme.registry(tls={"ca": str(authority.ca_file), "certificate": pair})
    client = acme.of(registry)
    await acme.sent(client)
    await registry.arefresh("acme")
    await acme.sent(client)
    assert 1 == mutual.connections
    mine.combined_file.write_bytes(authority.client("acme-newer").combined_file.read_bytes())
    await registry.arefresh("acme")
    await acme.sent(client)
    assert 2 == mutual.connections


async def test_a_key_of_no_use_is_told_as_itself(
    acme: Acme, mutual: OpenAIServer, tmp_path: Path, authority: CertificateAuthority
) -> None:
    """What is fetched and is no key fails the request, with where it came from, and no secret."""
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nMIICsecret\n")
    mine = authority.client("acme")
    said = {"certificate": str(mine.certificate_file), "key": {"file": str(tmp_path / "key.pem")}}
    with pytest.raises(CredentialUnavailableError, match=r"tls\.key from file") as caught:
        await acme.chat(acme.client(tls={"ca": str(authority.ca_file), **said}))
    assert isinstance(caught.value, openai.OpenAIError)
    assert "MIIC" not in str(caught.value)
    assert () == mutual.requests


def test_equal_settings_share_one_context(authority: CertificateAuthority) -> None:
    """Tenants with equal `tls` share one SSL context, in all registries; others do not."""
    said: dict[str, Any] = {
        "acme": {"tls": {"ca": str(authority.ca_file)}},
        "globex": {"tls": {"ca": str(authority.ca_file)}},
        "initech": {},
        "umbrella": None,
    }
    config = {"defaults": {"api_key": {"env": "KEY"}}, "tenants": said}
    with ClientRegistry.open(config, environ={}) as registry:
        for name in said:
            registry.client(name)
        contexts = [http.ssl_context(registry.catalog.get(name).settings.tls) for name in said]
    assert contexts[0] is contexts[1]
    assert contexts[2] is contexts[3]
    assert contexts[0] is not contexts[2]


async def test_a_certificate_file_that_was_replaced_is_used(
    acme: Acme,
    mutual: OpenAIServer,
    authority: CertificateAuthority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file that a certificate manager writes anew is read for the next connection."""
    monkeypatch.setattr(connection, "LOOK", 0.0)
    mine = authority.client("acme")
    client = acme.client(tls={"ca": str(authority.ca_file), "certificate": str(mine.combined_file)})
    for _ in range(2):
        await acme.sent(client)
    assert 1 == mutual.connections
    mine.combined_file.write_bytes(authority.client("acme-newer").combined_file.read_bytes())
    for _ in range(2):
        await acme.sent(client)
    assert 2 == mutual.connections
