"""Where may a tenant's requests go? Its own address, below its own path, and nowhere else."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tenantry.clients.http import parsed

if TYPE_CHECKING:
    from tenantry.clients.http import httpx

_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_SEGMENT_PARAMETERS = re.compile(r";.*", re.DOTALL)
_SEPARATORS = re.compile(r"[/\\]")
_MARKS = ("%", "..", "\\")  # without one of these no path goes up


@dataclass(frozen=True, slots=True)
class Boundary:
    """One origin and a path prefix that begins and ends with a slash.

    `netloc` is host and port as the address has them; others may be the same, written otherwise.
    """

    scheme: str
    host: str
    port: int | None
    netloc: bytes
    prefix: str

    @classmethod
    def of(cls, url: httpx.URL) -> Boundary:
        prefix = _path(url.raw_path).rstrip("/") + "/"
        return cls(url.scheme, url.host, _port(url), url.netloc, prefix)

    @classmethod
    @functools.lru_cache(maxsize=1024)
    def at(cls, address: str) -> Boundary:
        """Return the boundary of an address; tenants share many."""
        return cls.of(parsed(address))

    def __str__(self) -> str:
        return f"{self.scheme}://{self.netloc.decode('ascii')}{self.prefix}"

    def objection(self, url: httpx.URL) -> str:
        """Return why a request to `url` would leave the boundary, or nothing."""
        same = url.netloc == self.netloc and url.scheme == self.scheme  # mostly, and quickly told
        if not same and not self._is_at(url):
            return f"{url.scheme}://{url.netloc.decode('ascii', 'replace')} is another address"
        if not _holds(self.prefix, url.raw_path):
            return "the path leads out of the tenant's own"
        return ""

    def _is_at(self, url: httpx.URL) -> bool:
        """Whether an address that is written otherwise is this one.

        The http library keeps a default port behind a scheme in capitals, and IPv6 as it is said.
        """
        return (url.scheme, url.host, _port(url)) == (self.scheme, self.host, self.port)

    def foreign_host(self, url: httpx.URL, hosts: list[bytes]) -> str:
        """Return why the `Host` headers of a request are refused, or nothing."""
        if not hosts or (len(hosts) == 1 and hosts[0].lower() == url.netloc.lower()):
            return ""
        return "the Host header names another host than the URL"


@functools.lru_cache(maxsize=1024)
def _holds(prefix: str, raw_path: bytes) -> bool:
    """Whether a path is below a prefix, however a server reads it."""
    path = _path(raw_path)
    if not (path if path.endswith("/") else path + "/").startswith(prefix):
        return False
    if prefix == "/":
        return True
    return not any(mark in path for mark in _MARKS) or not _climbs(path[len(prefix) :])


def _port(url: httpx.URL) -> int | None:
    return url.port or _DEFAULT_PORTS.get(url.scheme)


def _path(raw_path: bytes) -> str:
    """Return the path as it is sent; plain dot segments were resolved when the URL was made."""
    return raw_path.partition(b"?")[0].decode("ascii", "replace")


def _climbs(path: str) -> bool:
    """Whether any server could read the path as one that goes up.

    Servers decode once, or twice, or not at all, take a backslash for a slash or do not, and Java's
    read `/..;a=b/` as `/../`. What goes up for one of them goes up; legitimate paths never do.
    """
    while True:
        if any(_SEGMENT_PARAMETERS.sub("", part) == ".." for part in _SEPARATORS.split(path)):
            return True
        decoded = unquote(path)
        if decoded == path:
            return False
        path = decoded
