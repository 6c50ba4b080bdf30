"""How sockets are made: who is trusted, who one says that one is, and with which library."""

from __future__ import annotations

import asyncio
import itertools
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import openai
import pytest

from tenantry import ConfigError, CredentialUnavailableError, MissingExtraError
from tenantry.clients import connection as connections
from tenantry.clients.aiohttp_pool import AiohttpPool
from tenantry.clients.connection import Connection
from tenantry.clients.http import httpx
from tenantry.freshness import RefreshPolicy
from tenantry.loading import load
from tenantry.secret import Secret
from tenantry.sources import kinds
from tenantry.testing import CertificateAuthority, OpenAIServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tenantry.credential import Credential
    from tenantry.testing.certificates import ClientCertificate

WAYS = ("sync", "httpx", "aiohttp")  # the three libraries that sockets are made with
TLS_KEYS = ("tls.certificate", "tls.key")


class Held:
    """A credential as far as a connection looks at it."""

    def __init__(self, path: str) -> None:
        self.tenant = "acme"
        self.reference = f"vault {path}"
        self.keeper = SimpleNamespace(policy=RefreshPolicy(every=60.0))


def connection(*fetched: str, way: str = "auto", **said: Any) -> Connection:
    """Return the connection of a tenant that says `said`; `fetched` are paths of references."""
    http = "auto" if way == "sync" else way
    config = {"tenants": {"acme": {"api_key": {"env": "KEY"}, "http": http, **said}}}
    loaded = load(config, environ={}, kinds=kinds())
    assert {} == loaded.quarantined
    credentials = {path: cast("Credential", Held(path)) for path in fetched}
    return Connection(loaded.tenants["acme"].settings, credentials)


def status(made: Connection, way: str, url: str, *secrets: str) -> int:
    """Send one GET by a new pool, and return what was answered."""
    texts = tuple(Secret(each) for each in secrets)
    if way == "sync":
        with httpx.Client(transport=made.sync_pool(texts), trust_env=False) as client:
            return client.get(url).status_code

    async def send() -> int:
        pool = made.async_pool(texts)
        assert (way == "aiohttp") == isinstance(pool, AiohttpPool)
        async with httpx.AsyncClient(transport=pool, trust_env=False) as client:
            return (await client.get(url)).status_code

    return asyncio.run(send())


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def acme(authority: CertificateAuthority) -> ClientCertificate:
    return authority.client("acme")


# -- a server that wants to know who comes --------------------------------------------------------


class MutualTls(ThreadingHTTPServer):
    """Demands a certificate of one authority, and keeps the names in those that it was shown."""

    daemon_threads = True

    def __init__(self, authority: CertificateAuthority) -> None:
        super().__init__(("127.0.0.1", 0), _WhoIsIt)
        files = authority.server()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(files.certificate_file, files.key_file)
        context.load_verify_locations(cafile=authority.ca_file)
        context.verify_mode = ssl.CERT_REQUIRED
        # The handshake belongs to the thread of its connection.
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )
        self.names: list[str] = []

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: that a handshake fails is what some tests want."""


class _WhoIsIt(BaseHTTPRequestHandler):
    server: MutualTls

    def do_GET(self) -> None:
        peer: dict[str, Any] = cast("ssl.SSLSocket", self.connection).getpeercert() or {}
        self.server.names.append("".join(value for ((_, value),) in peer["subject"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # its own name
        """Say nothing."""


@pytest.fixture
def mutual(authority: CertificateAuthority) -> Iterator[MutualTls]:
    with MutualTls(authority) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def tls(authority: CertificateAuthority, **said: Any) -> dict[str, Any]:
    return {"ca": str(authority.ca_file), **said}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("form", ["path", "path and secret", "one secret", "two secrets"])
def test_a_client_shows_its_certificate(
    authority: CertificateAuthority, acme: ClientCertificate, mutual: MutualTls, way: str, form: str
) -> None:
    """Certificate and key may be files or fetched, together or apart; the server sees a name."""
    reference = {"env": "UNUSED"}
    certificate, key = acme.certificate_file.read_text(), acme.key_file.read_text()
    forms: dict[str, tuple[dict[str, Any], tuple[str, ...], tuple[str, ...]]] = {
        "path": ({"certificate": str(acme.combined_file)}, (), ()),
        "path and secret": (
            {"certificate": str(acme.certificate_file), "key": reference},
            ("tls.key",),
            (key,),
        ),
        "one secret": (
            {"certificate": reference},
            ("tls.certificate",),
            (acme.combined_file.read_text(),),
        ),
        "two secrets": (
            {"certificate": reference, "key": reference},
            TLS_KEYS,
            (certificate, key),
        ),
    }
    said, fetched, secrets = forms[form]
    made = connection(*fetched, way=way, tls=tls(authority, **said))
    made.check()
    assert len(fetched) == len(made.credentials)
    assert 204 == status(made, way, mutual.url, *secrets)
    assert ["acme"] == mutual.names


@pytest.mark.parametrize("way", WAYS)
def test_without_a_certificate_there_is_no_answer(
    authority: CertificateAuthority, mutual: MutualTls, way: str
) -> None:
    """A server that demands a certificate answers nobody who has none."""
    with pytest.raises((httpx.TransportError, ssl.SSLError)):  # httpx lets the latter pass
        status(connection(way=way, tls=tls(authority)), way, mutual.url)
    assert [] == mutual.names


@pytest.mark.parametrize("way", WAYS)
def test_new_secrets_make_new_connections(
    authority: CertificateAuthority, acme: ClientCertificate, mutual: MutualTls, way: str
) -> None:
    """A pool shows the certificate whose secrets it was made with."""
    said = {"certificate": {"env": "UNUSED"}}
    made = connection("tls.certificate", way=way, tls=tls(authority, **said))
    for holder in (acme, authority.client("acme-rotated"), acme):
        status(made, way, mutual.url, holder.combined_file.read_text())
    assert ["acme", "acme-rotated", "acme"] == mutual.names


def test_a_file_that_is_replaced_is_noticed(
    authority: CertificateAuthority, acme: ClientCertificate, mutual: MutualTls, tmp_path: Path
) -> None:
    """Files are looked at every few seconds; what is new in them shows, and new pools use it."""
    now = itertools.count(0.0, connections.LOOK / 2)
    file = tmp_path / "tls.pem"
    file.write_bytes(acme.combined_file.read_bytes())
    settings = connection(tls=tls(authority, certificate=str(file)))._settings
    made = Connection(settings, {}, clock=lambda: next(now))
    first = made.files()
    status(made, "sync", mutual.url)
    (tmp_path / "next").write_bytes(authority.client("acme-rotated").combined_file.read_bytes())
    (tmp_path / "next").replace(file)
    assert first == made.files()  # too soon
    assert first != made.files()
    status(made, "sync", mutual.url)
    assert ["acme", "acme-rotated"] == mutual.names


def test_who_names_no_file_looks_at_none() -> None:
    """Without files there is nothing that could change, and no clock is read."""
    made = Connection(connection()._settings, {}, clock=_never)
    assert made.files() == made.files() == ()


def _never() -> float:
    message = "nobody should have asked"
    raise AssertionError(message)


# -- what is of no use ----------------------------------------------------------------------------


def test_a_pair_that_does_not_fit_waits_for_its_other_half(
    authority: CertificateAuthority,
    acme: ClientCertificate,
    mutual: MutualTls,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """While certificate and key are replaced one after the other, the last good pair serves."""
    reference = {"env": "UNUSED"}
    made = connection(*TLS_KEYS, tls=tls(authority, certificate=reference, key=reference))
    old = (acme.certificate_file.read_text(), acme.key_file.read_text())
    newer = authority.client("acme-rotated")
    new = (newer.certificate_file.read_text(), newer.key_file.read_text())
    for pair in (old, (new[0], old[1]), new):
        status(made, "sync", mutual.url, *pair)
    assert ["acme", "acme", "acme-rotated"] == mutual.names
    [record] = caplog.records
    assert "new connections go on as before: tls.key: does not belong" in record.getMessage()
    assert not any(
        line in caplog.text for pair in (old, new) for text in pair for line in text.splitlines()
    )


@pytest.mark.parametrize("way", WAYS)
def test_a_fetched_key_of_no_use_is_an_unavailable_credential(
    authority: CertificateAuthority, acme: ClientCertificate, way: str
) -> None:
    """The request fails with the error of a missing credential: which one, why, and until when."""
    reference = {"env": "UNUSED"}
    made = connection(*TLS_KEYS, way=way, tls=tls(authority, certificate=reference, key=reference))
    key = authority.client("globex").key_file.read_text()
    with pytest.raises(CredentialUnavailableError, match="does not belong") as caught:
        status(made, way, "https://127.0.0.1:9", acme.certificate_file.read_text(), key)
    assert isinstance(caught.value, openai.OpenAIError)
    assert ("acme", "tls.key from vault tls.key", 60.0) == (
        caught.value.tenant,
        caught.value.reference,
        caught.value.retry_after,
    )
    assert not any(line in str(caught.value) for line in key.splitlines())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "tls.pem cannot be read: No such file"),
        (b"hunter2", "holds no certificate in PEM"),
        (b"\xff\xfe", "tls.pem cannot be read: it is not a text"),
    ],
)
def test_a_file_of_no_use_is_a_configuration_error(
    authority: CertificateAuthority, tmp_path: Path, content: bytes | None, words: str
) -> None:
    """Before a client is built, and in a request, the setting that names the file is named."""
    file = tmp_path / "tls.pem"
    if content is not None:
        file.write_bytes(content)
    made = connection(tls=tls(authority, certificate=str(file)))
    attempts: list[Callable[[], object]] = [made.check, lambda: made.sync_pool(())]
    for attempt in attempts:
        with pytest.raises(ConfigError, match=words) as caught:
            attempt()
        assert ["tls.certificate"] == [problem.path for problem in caught.value.problems]
        assert "hunter2" not in str(caught.value)


def test_an_authority_is_checked_beforehand(acme: ClientCertificate) -> None:
    """A wrong `tls.ca` is found when the client is built, even if the key is yet to be fetched."""
    reference = {"env": "UNUSED"}
    for fetched in ((), TLS_KEYS):
        pair = dict.fromkeys(("certificate", "key"), reference) if fetched else {}
        made = connection(*fetched, tls={"ca": "/nowhere/ca.pem", **pair})
        with pytest.raises(ConfigError, match=r"tls\.ca: /nowhere/ca\.pem cannot be read"):
            made.check()


def test_what_is_fetched_is_not_checked_beforehand(authority: CertificateAuthority) -> None:
    """Building a client fetches nothing."""
    reference = {"env": "UNUSED"}
    connection(*TLS_KEYS, tls=tls(authority, certificate=reference, key=reference)).check_async()


def test_an_authority_that_vanishes_changes_nothing(
    authority: CertificateAuthority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """While `tls.ca` is being replaced, what was trusted before still is."""
    ca = tmp_path / "ca.pem"
    ca.write_bytes(authority.ca_file.read_bytes())
    made = connection(tls={"ca": str(ca)})
    with OpenAIServer(accept_any=True, certificate=authority.server()) as server:
        assert 401 == status(made, "sync", f"{server.base_url}/models")
        ca.unlink()
        assert 401 == status(made, "sync", f"{server.base_url}/models")
    assert "new connections go on as before: tls.ca" in caplog.text


# -- the library ----------------------------------------------------------------------------------


def test_which_library_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` is aiohttp where that is installed, for async clients; sync ones know httpx alone."""

    async def kind(way: str) -> type[object]:
        pool = connection(way=way).async_pool(())
        await pool.aclose()
        return type(pool)

    assert AiohttpPool is asyncio.run(kind("auto")) is asyncio.run(kind("aiohttp"))
    assert httpx.AsyncHTTPTransport is asyncio.run(kind("httpx"))
    assert isinstance(connection(way="aiohttp").sync_pool(()), httpx.HTTPTransport)
    monkeypatch.setattr(connections, "aiohttp_transport", lambda: None)
    assert httpx.AsyncHTTPTransport is asyncio.run(kind("auto"))


def test_aiohttp_that_is_missing_is_said_before_a_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Async clients of a tenant that wants aiohttp say what to install; sync ones do without."""
    connection(way="aiohttp").check_async()
    monkeypatch.setattr(connections, "aiohttp_transport", lambda: None)
    connection(way="auto").check_async()
    connection(way="aiohttp").check()
    with pytest.raises(MissingExtraError, match=r"pip install 'tenantry\[aiohttp\]'"):
        connection(way="aiohttp").check_async()
