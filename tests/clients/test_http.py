"""Which http library the SDK speaks, and what connections are made with."""

from __future__ import annotations

import contextlib
import importlib.metadata
import ssl
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import openai
import pytest

from tenantry import ConfigError
from tenantry.clients import http
from tenantry.clients.tls import Identity
from tenantry.secret import Secret
from tenantry.settings import PoolSettings, TimeoutSettings, TlsSettings
from tenantry.testing import CertificateAuthority

if TYPE_CHECKING:
    from collections.abc import Iterator

httpx = http.httpx


@pytest.fixture(autouse=True)
def _no_context_of_others() -> Iterator[None]:
    http.contexts.clear()
    yield
    http.contexts.clear()


@pytest.fixture
def authority(tmp_path: Path) -> CertificateAuthority:
    return CertificateAuthority(tmp_path)


def test_the_library_is_the_sdks() -> None:
    """The http library is the one that the base of the SDK's own default client is of."""
    base: type[Any] = httpx.Client
    assert issubclass(openai.DefaultHttpxClient, base)
    major = int(importlib.metadata.version("openai").partition(".")[0])
    assert ("httpx" if major < 3 else "httpx2") == httpx.__name__


def test_the_other_library_is_not_loaded() -> None:
    """What connections are made with is the module that is loaded, and no copy of it."""
    assert sys.modules[httpx.__name__] is httpx


def test_limits_that_are_not_said_are_the_sdks() -> None:
    """An empty `pool` gives the limits of the SDK's own clients."""
    assert openai.DEFAULT_CONNECTION_LIMITS == http.limits(PoolSettings())


def test_limits_that_are_said_count() -> None:
    """Each part that is said counts, none given included; the others are the SDK's."""
    said = http.limits(PoolSettings(max_connections=7, keepalive_expiry=None))
    assert (7, None) == (said.max_connections, said.keepalive_expiry)
    default = openai.DEFAULT_CONNECTION_LIMITS.max_keepalive_connections
    assert default == said.max_keepalive_connections


def test_time_limits_that_are_said_count() -> None:
    """Each part that is said counts, no limit included; the others are the SDK's."""
    said = http.timeout(TimeoutSettings(read=30.0, pool=None))
    default = openai.DEFAULT_TIMEOUT
    assert (default.connect, 30.0, default.write, None) == (
        said.connect,
        said.read,
        said.write,
        said.pool,
    )


def test_certificates_are_verified_by_default() -> None:
    """The default context checks certificates and host names."""
    context = http.ssl_context(TlsSettings())
    assert (ssl.CERT_REQUIRED, True) == (context.verify_mode, context.check_hostname)


def test_equal_settings_share_one_context() -> None:
    """One context serves all that say the same."""
    assert http.ssl_context(TlsSettings()) is http.ssl_context(TlsSettings(ca=None, verify=True))


def test_threads_build_one_context() -> None:
    """Threads that ask at once for the same context get the same one, built once."""
    together = threading.Barrier(8)

    def asked() -> ssl.SSLContext:
        together.wait()
        return http.ssl_context(TlsSettings())

    with ThreadPoolExecutor(8) as threads:
        contexts = [asking.result() for asking in [threads.submit(asked) for _ in range(8)]]
    assert {contexts[0]} == set(contexts)


def test_an_identity_has_a_context_of_its_own(authority: CertificateAuthority) -> None:
    """Equal certificates share a context; others, and who shows none, do not."""
    acme, globex = (
        Identity(Secret(authority.client(name).combined_file.read_text()))
        for name in ("acme", "globex")
    )
    twin = Identity(Secret(acme.certificate.reveal(), version="fetched again"))
    contexts = [http.ssl_context(TlsSettings(), each) for each in (acme, twin, globex, None)]
    assert contexts[0] is contexts[1]
    assert 3 == len(set(contexts))


def test_an_authority_that_was_replaced_is_read_again(authority: CertificateAuthority) -> None:
    """New content of `tls.ca` makes a new context; the same content does not."""
    tls = TlsSettings(ca=authority.ca_file)
    before, same = http.ssl_context(tls), http.ssl_context(tls)
    with authority.ca_file.open("a") as file:
        file.write("\n")
    assert before is same
    assert before is not http.ssl_context(tls)


def test_contexts_are_not_kept_for_ever(
    monkeypatch: pytest.MonkeyPatch, authority: CertificateAuthority
) -> None:
    """Above a number of contexts the oldest is forgotten, and made anew when it is needed."""
    monkeypatch.setattr(http, "MOST_CONTEXTS", 2)
    identities = [
        Identity(Secret(authority.client(f"t{number}").combined_file.read_text()))
        for number in range(3)
    ]
    tls = TlsSettings(ca=authority.ca_file)
    first, *_, last = [http.ssl_context(tls, each) for each in identities]
    assert 2 == len(http.contexts)
    assert last is http.ssl_context(tls, identities[-1])
    assert first is not http.ssl_context(tls, identities[0])


def test_every_context_speaks_of_http_1(authority: CertificateAuthority) -> None:
    """HTTP/1.1 is what every context offers: whoever shares one finds it as it was."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    files = authority.server()
    server.load_cert_chain(files.certificate_file, files.key_file)
    server.set_alpn_protocols(["h2", "http/1.1"])
    here, there = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = http.ssl_context(TlsSettings(ca=authority.ca_file))
    near = context.wrap_bio(here, there, server_hostname="localhost")
    far = server.wrap_bio(there, here, server_side=True)
    for side in (near, far, near, far):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    assert "http/1.1" == near.selected_alpn_protocol()


def test_verify_false_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Trusting anybody is logged when the context is made, and not again."""
    contexts = [http.ssl_context(TlsSettings(verify=False)) for _ in range(3)]
    assert ssl.CERT_NONE == contexts[0].verify_mode
    assert 1 == len([each for each in caplog.records if "not verified" in each.getMessage()])


def test_variables_do_not_say_what_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """SSL_CERT_FILE and SSL_CERT_DIR have no part in the default context."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    monkeypatch.setenv("SSL_CERT_DIR", "/nowhere")
    assert ssl.CERT_REQUIRED == http.ssl_context(TlsSettings()).verify_mode


def test_a_missing_authority_is_a_configuration_error() -> None:
    """A file that is not there is named, with the setting that names it."""
    with pytest.raises(ConfigError, match=r"tls\.ca: /nowhere/ca\.pem cannot be read") as caught:
        http.ssl_context(TlsSettings(ca=Path("/nowhere/ca.pem")))
    assert ["tls.ca"] == [problem.path for problem in caught.value.problems]


# -- aiohttp --------------------------------------------------------------------------------------


def test_the_transport_over_aiohttp_is_the_sdks() -> None:
    """It is the class that the SDK's own aiohttp client sends with."""
    client: Any = openai.DefaultAioHttpClient(verify=False)
    assert type(client._transport) is http.aiohttp_transport()


WITHOUT = """
import sys
sys.modules["aiohttp"] = None
from tenantry.clients import http
print(http.aiohttp_transport())
"""


def test_without_aiohttp_there_is_none() -> None:
    """Where aiohttp cannot be imported the SDK has no such transport, and neither have we."""
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, timeout=60, check=True
    )
    assert "None\n" == ran.stdout


def test_an_aiohttp_that_is_too_old_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """An aiohttp that could not log in to a proxy is as good as none."""

    class OldSession:
        def __init__(self, *, connector: object = None, trust_env: bool = False) -> None:
            """Take what there was before 3.12."""

    monkeypatch.setattr(aiohttp, "ClientSession", OldSession)
    assert http.aiohttp_transport.__wrapped__() is None
