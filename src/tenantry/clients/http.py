"""The http library that the installed SDK speaks, and what tenants' connections are made with.

openai 2 stands on httpx, openai 3 on its successor httpx2, which has the same interface. This file
finds out which; nobody else imports either.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import openai

from tenantry.clients.tls import stamp, trusting
from tenantry.pool import Pool

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    import httpx2 as httpx  # the name that both families are called by here

    from tenantry.clients.tls import Identity
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
    "BaseAsyncClient",
    "BaseClient",
    "aiohttp_transport",
    "contexts",
    "httpx",
    "limits",
    "parsed",
    "ssl_context",
    "timeout",
]

log = logging.getLogger("tenantry")

MOST_CONTEXTS = 256


@functools.cache
def aiohttp_transport() -> Any:
    """Return the class of the SDK's own transport over aiohttp; None where there is none to use.

    The SDK decides when it is imported: its default client stands on a package of that name, one
    of its own (openai 3) or the separate `httpx_aiohttp` (openai 2), or on neither. An aiohttp
    without middlewares, before 3.12, could not log in to proxies.
    """
    packages = (base.__module__.rpartition(".")[0] for base in openai.DefaultAioHttpClient.__mro__)
    found = next((name for name in packages if name.endswith("httpx_aiohttp")), None)
    if found is None or not _takes_middlewares():
        return None
    return importlib.import_module(found).AiohttpTransport


def _takes_middlewares() -> bool:
    import aiohttp

    return "middlewares" in inspect.signature(aiohttp.ClientSession).parameters


@dataclass(frozen=True, slots=True)
class _Trust:
    """What tells one SSL context from another."""

    ca: Path | None
    ca_stamp: tuple[int, ...]
    verify: bool
    identity: Identity | None


contexts: Pool[_Trust, ssl.SSLContext] = Pool()


def ssl_context(tls: TlsSettings, identity: Identity | None = None) -> ssl.SSLContext:
    """Return the one context of all connections with this trust and identity.

    It is 95 % of a client's cost.

    Raises:
        ConfigError: `tls.ca` or the identity cannot be read.
    """
    ca_stamp = () if tls.ca is None else stamp(tls.ca)
    trust = _Trust(tls.ca, ca_stamp, tls.verify, identity)
    context = contexts.get(trust, lambda: _built(trust))
    if len(contexts) > MOST_CONTEXTS:
        contexts.evict(next(iter(contexts)))
    return context


def _built(trust: _Trust) -> ssl.SSLContext:
    if not trust.verify:
        log.warning("tenantry: TLS certificates are not verified: `tls: {verify: false}`")
        context = httpx.create_ssl_context(verify=False, trust_env=False)
    elif trust.ca is not None:
        context = trusting(trust.ca)
    else:
        context = httpx.create_ssl_context(trust_env=False)
    # httpcore says so at each connection, and aiohttp never.
    context.set_alpn_protocols(["http/1.1"])
    if trust.identity is not None:
        trust.identity.show_in(context)
    return context


@functools.lru_cache(maxsize=1024)
def parsed(address: str) -> httpx.URL:
    """Return an address as the SDK keeps it, with a slash at its end; tenants share many.

    The SDK would parse it twice for each client, which is a third of what building one takes.
    """
    url = httpx.URL(address)
    if url.raw_path.endswith(b"/"):
        return url
    return url.copy_with(raw_path=url.raw_path + b"/")


def limits(pool: PoolSettings) -> httpx.Limits:
    """Return connection limits: the SDK's, except for what the tenant says."""
    default, said = openai.DEFAULT_CONNECTION_LIMITS, pool.model_fields_set
    return _limits(
        **{
            name: getattr(pool if name in said else default, name)
            for name in type(pool).model_fields
        }
    )


@functools.lru_cache(maxsize=256)
def _limits(
    max_connections: int | None,
    max_keepalive_connections: int | None,
    keepalive_expiry: float | None,
) -> httpx.Limits:
    """Make limits; thousands of tenants have equal ones, and share them."""
    return httpx.Limits(
        max_connections=max_connections,
        max_keepalive_connections=max_keepalive_connections,
        keepalive_expiry=keepalive_expiry,
    )


def timeout(said: TimeoutSettings) -> httpx.Timeout:
    """Return time limits in seconds: the SDK's, except for the parts that the tenant says."""
    default: httpx.Timeout = openai.DEFAULT_TIMEOUT
    parts = {**default.as_dict(), **said.model_dump(exclude_unset=True)}
    return httpx.Timeout(**parts)
