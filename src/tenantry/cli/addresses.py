"""Can each address be reached, is it trusted, and what time is it there? No secret is sent."""

from __future__ import annotations

import http.client
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tenantry.cli.fresh import endpoints
from tenantry.clients.http import ssl_context
from tenantry.clients.options import OPENAI_BASE_URL
from tenantry.errors import ConfigError
from tenantry.loading.allow import origin_of
from tenantry.settings import TlsSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tenantry.cli.fresh import Fresh
    from tenantry.settings import TenantSettings

AT_ONCE = 16
DAY = 86_400.0
# Where the settings of a source say its address.
_OF_SOURCES = ("address", "authority", "vault_url", "endpoint_url", "endpoint")


@dataclass(frozen=True, slots=True)
class Address:
    """Scheme, host and port, and whom to trust there."""

    origin: str
    tls: TlsSettings = field(default_factory=TlsSettings, compare=False)


@dataclass(frozen=True, slots=True)
class Visit:
    """What was found there: `skew` in seconds, None where it does not tell the time."""

    address: Address
    fault: str = ""
    step: str = ""
    days_left: float | None = None
    skew: float | None = None


@dataclass(frozen=True, slots=True)
class Addresses:
    """Each address once, and how many endpoints are behind proxies."""

    reached: tuple[Address, ...]
    behind_proxies: int


def addresses_of(read: Fresh) -> Addresses:
    """Return where a configuration's requests go, those of its sources first."""
    settings = [each for tenant in read.sample() for each in endpoints(tenant).values()]
    proxied = [each for each in settings if each.proxy is not None]
    direct = [Address(origin_of(_url(each)), each.tls) for each in settings if each.proxy is None]
    found = dict.fromkeys((*_of_sources(read), *direct))
    return Addresses(tuple(found), len(proxied))


def _url(settings: TenantSettings) -> str:
    return settings.azure_endpoint or settings.base_url or _openai(settings.data_residency)


def _openai(region: str | None) -> str:
    return f"https://{region}.api.openai.com" if region not in (None, "global") else OPENAI_BASE_URL


def _of_sources(read: Fresh) -> Iterator[Address]:
    for source in read.configuration.sources.values():
        said: Any = source.settings
        url = next((url for key in _OF_SOURCES if (url := getattr(said, key, None))), None)
        if url is not None:
            yield Address(origin_of(str(url)), getattr(said, "tls", None) or TlsSettings())


def visits(
    addresses: Iterable[Address], timeout: float, *, now: Callable[[], float] = time.time
) -> Iterator[Visit]:
    """Ask each address for nothing but its head, some at a time.

    Args:
        addresses: where.
        timeout: seconds for each step of each.
        now: what time it is here, in seconds since the epoch.
    """
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="tenantry-doctor") as threads:
        yield from threads.map(partial(_visit, timeout=timeout, now=now), addresses)


def _visit(address: Address, timeout: float, now: Callable[[], float]) -> Visit:
    try:
        return _seen(address, timeout, now)
    except (OSError, http.client.HTTPException, ConfigError) as error:
        return Visit(address, *_fault(error, timeout))


def _fault(error: Exception, timeout: float) -> tuple[str, str]:
    """Return what is wrong, and what to do."""
    match error:
        case ssl.SSLCertVerificationError():
            step = "say `tls: {ca: FILE}` with the authority that signed it"
            return f"its certificate is not trusted: {error.verify_message}", step
        case ssl.SSLError():
            return "speaks no TLS that we speak", "look at the scheme and the port"
        case TimeoutError():
            return f"no answer in {timeout:g} s", "look at its name, and at firewalls on the way"
        case OSError():
            reason = (error.strerror or type(error).__name__).lower()
            return f"cannot be reached: {reason}", "look at its name, its port, whether it runs"
        case ConfigError():
            return error.problems[0].message, "look at `tls.ca`"
        case _:
            return "speaks no HTTP", "look at the scheme and the port"


def _seen(address: Address, timeout: float, now: Callable[[], float]) -> Visit:
    connection = _connection(address, timeout)
    try:
        connection.connect()
        days_left = _days_left(connection.sock, now())
        asked = now()
        connection.request("HEAD", "/")
        date = connection.getresponse().getheader("Date")
        return Visit(address, days_left=days_left, skew=_skew(date, asked, now()))
    finally:
        connection.close()


def _connection(address: Address, timeout: float) -> http.client.HTTPConnection:
    parts = urlsplit(address.origin)
    host = parts.hostname or ""
    if parts.scheme != "https":
        return http.client.HTTPConnection(host, parts.port, timeout=timeout)
    context = ssl_context(address.tls)
    return http.client.HTTPSConnection(host, parts.port, timeout=timeout, context=context)


def _days_left(sock: Any, now: float) -> float | None:
    certificate = sock.getpeercert() if isinstance(sock, ssl.SSLSocket) else None
    if not certificate:  # plain, or not verified
        return None
    return (ssl.cert_time_to_seconds(str(certificate["notAfter"])) - now) / DAY


def _skew(date: str | None, asked: float, answered: float) -> float | None:
    """Return how far the clocks are apart at least; a Date has whole seconds."""
    if date is None:
        return None
    try:
        there = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
    return max(0.0, asked - (there + 1.0), there - answered)
