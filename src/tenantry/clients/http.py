"""The http library that the installed SDK speaks, and the http clients that tenants get.

openai 2 stands on httpx, openai 3 on its successor httpx2, which has the same interface. This file
finds out which; nobody else imports either.
"""

from __future__ import annotations

import functools
import importlib
import logging
import ssl
import weakref
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

import openai

from tenantry.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pathlib import Path

    import httpx2 as httpx  # the name that both families are called by here

    from tenantry.clients.gate import Gate
    from tenantry.clients.transport import AsyncTransport, SyncTransport
    from tenantry.settings import PoolSettings, TimeoutSettings, TlsSettings

    BaseClient = httpx.Client
    BaseAsyncClient = httpx.AsyncClient
else:
    BaseClient = openai.DefaultHttpxClient
    BaseAsyncClient = openai.DefaultAsyncHttpxClient


def _family() -> str:
    """Return the package that defines the base of the SDK's own default http client."""
    families = (base.__module__.partition(".")[0] for base in openai.DefaultHttpxClient.__mro__)
    return next(name for name in families if name in ("httpx", "httpx2"))


if not TYPE_CHECKING:
    httpx = importlib.import_module(_family())

__all__ = [
    "AsyncSealedHttpClient",
    "SealedHttpClient",
    "httpx",
    "limits",
    "ssl_context",
    "timeout",
]

log = logging.getLogger("tenantry")


class SealedHttpClient(BaseClient):
    """The http client under every sync SDK client of one tenant, clones included.

    `close()` closes nothing, because clones share it: only the registry may `dispose()` of it.
    """

    def __init__(self, gate: Gate, transport: SyncTransport) -> None:
        super().__init__(auth=gate, transport=transport, cookies=_no_cookies(), trust_env=False)
        self.gate = gate
        self._pools = transport
        _dispose_when_unused(self, transport)

    def close(self) -> None:
        """Do nothing: other clones go on using the connections."""

    def dispose(self) -> None:
        """Close the connections."""
        self._pools.dispose()


class AsyncSealedHttpClient(BaseAsyncClient):
    """The http client under every async SDK client of one tenant; see `SealedHttpClient`."""

    def __init__(self, gate: Gate, transport: AsyncTransport) -> None:
        super().__init__(auth=gate, transport=transport, cookies=_no_cookies(), trust_env=False)
        self.gate = gate
        self._pools = transport
        _dispose_when_unused(self, transport)

    async def aclose(self) -> None:
        """Do nothing: other clones go on using the connections."""

    def dispose(self) -> None:
        """Close the connections, each on its own loop; does not wait."""
        self._pools.dispose()

    async def adispose(self) -> None:
        """Close the connections of the running loop, and those of others without waiting."""
        await self._pools.adispose()


def _dispose_when_unused(http: object, transport: SyncTransport | AsyncTransport) -> None:
    """Close the connections once nobody holds a client that could use them."""
    weakref.finalize(http, transport.dispose).atexit = False


def _no_cookies() -> CookieJar:
    # A cookie that one request brought would go along with every later one.
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


@functools.lru_cache(maxsize=256)
def ssl_context(tls: TlsSettings) -> ssl.SSLContext:
    """Return the one context of all tenants with these settings; 95 % of a client's cost."""
    if not tls.verify:
        log.warning("tenantry: TLS certificates are not verified: `tls: {verify: false}`")
        return httpx.create_ssl_context(verify=False, trust_env=False)
    if tls.ca is not None:
        return _trusting(tls.ca)
    return httpx.create_ssl_context(trust_env=False)


def _trusting(ca: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca))
    except OSError as error:  # ssl.SSLError is one
        reason = f"{ca} cannot be read as PEM: {error.strerror or error}"
        raise ConfigError(Problem(reason, path="tls.ca")) from error


def limits(pool: PoolSettings) -> httpx.Limits:
    """Return connection limits: the SDK's, except for what the tenant says."""
    default = openai.DEFAULT_CONNECTION_LIMITS
    said: dict[str, Any] = pool.model_dump(exclude_unset=True)
    return httpx.Limits(
        max_connections=said.get("max_connections", default.max_connections),
        max_keepalive_connections=said.get(
            "max_keepalive_connections", default.max_keepalive_connections
        ),
        keepalive_expiry=said.get("keepalive_expiry", default.keepalive_expiry),
    )


def timeout(said: TimeoutSettings) -> httpx.Timeout:
    """Return time limits in seconds: the SDK's, except for the parts that the tenant says."""
    default: httpx.Timeout = openai.DEFAULT_TIMEOUT
    parts = {**default.as_dict(), **said.model_dump(exclude_unset=True)}
    return httpx.Timeout(**parts)
