"""Where WebSockets may go, through which proxy, and what they trust: what no caller may say."""

from __future__ import annotations

import contextlib
import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin

from tenantry.clients.boundary import Boundary
from tenantry.clients.errors import in_request
from tenantry.clients.headers import Lines
from tenantry.clients.http import httpx
from tenantry.clients.slots import API_KEY
from tenantry.errors import ConfigError, MissingExtraError, Problem, TenantBoundaryError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tenantry.clients.gate import Gate
    from tenantry.secret import Secret

OPTIONS = "websocket_connection_options"
# What a caller may say of a connection: nothing that leads elsewhere.
ALLOWED = frozenset(
    {
        *("compression", "extensions", "logger", "max_queue", "max_size", "origin"),
        *("close_timeout", "open_timeout", "ping_interval", "ping_timeout"),
        *("subprotocols", "write_limit"),
    }
)
OLDEST = 15  # the first websockets that takes a proxy, or none, by argument

_SOCKET_SCHEMES = {"http": "ws", "https": "wss"}
# What early versions of the SDK say where they do not ask the callable key.
_NO_KEY = ("", "Bearer", "Bearer <missing API key>")


def boundary_of(boundary: Boundary, websocket_base_url: httpx.URL | str | None) -> Boundary:
    """Return where the WebSockets of a tenant may go, whose requests may go to `boundary`."""
    if websocket_base_url is not None:
        return Boundary.of(_socket_url(httpx.URL(str(websocket_base_url))))
    return _of_sockets(boundary)


@functools.lru_cache(maxsize=1024)
def _of_sockets(boundary: Boundary) -> Boundary:
    return replace(boundary, scheme=_SOCKET_SCHEMES[boundary.scheme])


def _socket_url(url: httpx.URL) -> httpx.URL:
    return url.copy_with(scheme=_SOCKET_SCHEMES.get(url.scheme, url.scheme))


class Seal:
    """What one connection manager of the SDK's opens WebSockets with; lives as long as it does.

    `options` go to the `websockets` package, each time that a connection is opened. `again` is a
    handshake that was answered 401 while the gate has a better secret.
    """

    def __init__(
        self, client: Any, said: Mapping[str, Any], create_connection: Callable[..., object]
    ) -> None:
        http = client._client  # noqa: SLF001  # what `Sealed` declares
        self.gate: Gate = client.gate
        self.connections = http.connections
        self.again: Any = None
        self._boundary: Boundary = http.socket_boundary
        self._client = client
        for name in said:
            if name not in ALLOWED:
                raise self.gate.refusal(f"{OPTIONS}[{name}] could lead past the gate")
        create = functools.partial(create_connection, self)
        self.options = {**said, "proxy": None, "create_connection": create}

    def taken(self) -> Any:
        """Return `again`, once."""
        again, self.again = self.again, None
        return again

    def check(self) -> None:
        """Refuse to connect at all, where the gate is shut or the client leads elsewhere.

        Raises:
            TenantBoundaryError: as an `openai.OpenAIError`; also what the gate was shut with.
        """
        self.gate.check_open()
        self.check_url(httpx.URL(str(self._client.websocket_base_url or self._client.base_url)))

    def check_url(self, url: httpx.URL) -> None:
        if reason := self._boundary.objection(_socket_url(url)):
            raise self._refusal(reason)

    def check_redirect(self, url: httpx.URL, status: int, location: str | None) -> None:
        """Refuse an answer that leads elsewhere: `websockets` would follow it."""
        if location is not None and status in range(300, 400):
            self.check_url(httpx.URL(urljoin(str(url), location)))

    def route(self, secrets: tuple[Secret, ...]) -> None:
        """Say what to trust and which proxy to take; `secrets` are those of the connection."""
        if not _library_found():
            return  # the SDK says so itself
        trust, proxy = self.connections.connection.route(secrets)
        if self._boundary.scheme == "wss":
            self.options["ssl"] = trust
        if proxy is not None:
            self.options["proxy"] = proxy_address(proxy)
            if proxy.ssl_context is not None:
                self.options["proxy_ssl"] = proxy.ssl_context

    def request(self, url: httpx.URL, headers: list[tuple[str, str]]) -> httpx.Request:
        """Return the request that a handshake is, for the gate to stamp.

        Where it goes is checked here. To the gate it is a request to the tenant's own address, with
        the headers and the query of the handshake.

        Raises:
            TenantBoundaryError: it leads elsewhere; as an `openai.OpenAIError`.
        """
        self.check_url(url)
        hosts = Lines(httpx.Headers(headers)).values(b"host")
        if reason := self._boundary.foreign_host(url, hosts):
            raise self._refusal(reason)
        own = httpx.URL(str(self.gate.boundary)).copy_with(query=url.query)
        request = httpx.Request(
            "GET", own, headers=[each for each in headers if not _is_host(each)]
        )
        said = request.headers.get("authorization", "").strip()
        if self.gate.has_key and said in _NO_KEY and "api-key" not in request.headers:
            request.headers["authorization"] = f"Bearer {API_KEY}"
        self.gate.check_hop(request)
        return request

    def _refusal(self, reason: str) -> TenantBoundaryError:
        boundary = str(self._boundary)
        return in_request(TenantBoundaryError(self.gate.tenant, boundary=boundary, reason=reason))


def _is_host(header: tuple[str, str]) -> bool:
    return header[0].casefold() == "host"


def _library_found() -> bool:
    """Whether there is a `websockets`; one that always asks the environment for a proxy is refused.

    Raises:
        MissingExtraError: it is too old.
    """
    try:
        from websockets.version import version
    except ImportError:
        return False
    if int(version.partition(".")[0]) < OLDEST:
        raise MissingExtraError("realtime", needed_for="sealed WebSockets")
    return True


class _Address(str):
    """The address of a proxy with its password, which does not print."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<a proxy>"


def proxy_address(proxy: httpx.Proxy) -> str:
    """Return a proxy as `websockets` wants it: with the password in its address.

    Raises:
        ConfigError: no address says that password to `websockets`.
    """
    if proxy.auth is None:
        return str(proxy.url)
    from websockets.exceptions import InvalidProxy
    from websockets.uri import parse_proxy

    # Version 15 takes a password as it stands, so some cannot be said; others may unquote it.
    for user, password in (proxy.auth, tuple(quote(each, safe="") for each in proxy.auth)):
        address = _Address(str(proxy.url).replace("://", f"://{user}:{password}@", 1))
        with contextlib.suppress(InvalidProxy, ValueError):
            if parse_proxy(address).user_info == proxy.auth:
                return address
    reason = "WebSockets cannot say it to a proxy: it has / ? # or a letter beyond ASCII"
    raise ConfigError(Problem(reason, path="proxy.password"))
