"""The http library that the installed SDK speaks, and what tenants' connections are made with.

openai 2 stands on httpx, openai 3 on its successor httpx2, which has the same interface. This file
finds out which; nobody else imports either.
"""

from __future__ import annotations

import functools
import importlib
import logging
import ssl
from typing import TYPE_CHECKING, Any

import openai

from tenantry.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pathlib import Path

    import httpx2 as httpx  # the name that both families are called by here

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
    "httpx",
    "limits",
    "ssl_context",
    "timeout",
]

log = logging.getLogger("tenantry")


def ssl_context(tls: TlsSettings) -> ssl.SSLContext:
    """Return the one context of all tenants with these settings; 95 % of a client's cost.

    Raises:
        ConfigError: `tls.ca` is not a readable PEM file.
    """
    return _ssl_context(tls.ca, verify=tls.verify)


@functools.lru_cache(maxsize=256)
def _ssl_context(ca: Path | None, *, verify: bool) -> ssl.SSLContext:
    if not verify:
        log.warning("tenantry: TLS certificates are not verified: `tls: {verify: false}`")
        return httpx.create_ssl_context(verify=False, trust_env=False)
    if ca is not None:
        return _trusting(ca)
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
