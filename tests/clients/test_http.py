"""Which http library the SDK speaks, and what connections are made with."""

from __future__ import annotations

import importlib.metadata
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openai
import pytest

from tenantry import ConfigError
from tenantry.clients import http
from tenantry.settings.tenant import PoolSettings, TimeoutSettings, TlsSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

httpx = http.httpx


@pytest.fixture(autouse=True)
def _no_context_of_others() -> Iterator[None]:
    http._ssl_context.cache_clear()
    yield
    http._ssl_context.cache_clear()


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
