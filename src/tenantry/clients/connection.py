"""How the sockets of one endpoint are made: limits, trust, certificate and proxy."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tenantry.clients.errors import in_request
from tenantry.clients.http import aiohttp_transport, httpx, limits, ssl_context
from tenantry.clients.tls import CERTIFICATE, KEY, Identity, stamp
from tenantry.errors import ConfigError, CredentialUnavailableError, MissingExtraError, Problem
from tenantry.secret import Secret

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Hashable, Mapping

    from tenantry.credential import Credential
    from tenantry.settings import TenantSettings

PASSWORD = "proxy.password"  # noqa: S105  # a path
LOOK = 10.0  # seconds between two looks at the files of one endpoint

log = logging.getLogger("tenantry")


class Connection:
    """Makes the connection pools of one endpoint; lives as long as its clients.

    `credentials` are those that a socket needs before it is open (`tls.certificate`, `tls.key`,
    `proxy.password`); most endpoints have none. Who makes a pool gives their secrets, in order, and
    makes another pool once they, or what `files` returns, have changed.
    """

    def __init__(
        self,
        settings: TenantSettings,
        credentials: Mapping[str, Credential],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._fetched = {path: credentials[path] for path in _PATHS if path in credentials}
        self.credentials = tuple(self._fetched.values())
        self.limits = limits(settings.pool)
        certificate = settings.tls.certificate
        files = (settings.tls.ca, certificate)
        self._files = tuple(file for file in files if isinstance(file, Path))
        self._stamps: tuple[tuple[int, ...], ...] = ()
        self._next_look = float("-inf")
        self._clock = clock
        self._last_good: ssl.SSLContext | None = None

    # -- before the first request -----------------------------------------------------------------

    def check(self) -> None:
        """Raise what sync clients cannot be built with; what is fetched is not looked at yet.

        Raises:
            ConfigError: a file that `tls` names cannot be read, or does not hold what it should.
        """
        tls = self._settings.tls
        certificate = self._certificate({})
        if (
            CERTIFICATE not in self._fetched
            and KEY not in self._fetched
            and certificate is not None
        ):
            ssl_context(tls, Identity(certificate))
        elif tls.ca is not None or not self._fetched:
            ssl_context(tls)

    def check_async(self) -> None:
        """Raise what async clients cannot be built with.

        Raises:
            MissingExtraError: `http: aiohttp` is said, and what that needs is not installed.
            ConfigError: as for `check`.
        """
        if self._settings.http == "aiohttp" and aiohttp_transport() is None:
            raise MissingExtraError("aiohttp", needed_for="async clients that say `http: aiohttp`")
        self.check()

    # -- pools ------------------------------------------------------------------------------------

    def files(self) -> Hashable:
        """Return what tells the files that `tls` names from their successors.

        Cheap enough for each request: the files are looked at every `LOOK` seconds.
        """
        if self._files and (now := self._clock()) >= self._next_look:
            self._next_look = now + LOOK
            self._stamps = tuple(stamp(file) for file in self._files)
        return self._stamps

    def sync_pool(self, secrets: tuple[Secret, ...]) -> httpx.BaseTransport:
        """Make a pool for sync clients.

        Raises:
            TenantryError: as an `openai.OpenAIError`; see `_context`.
        """
        held = self._by_path(secrets)
        context = self._context(held)
        return httpx.HTTPTransport(
            verify=context, limits=self.limits, proxy=self._proxy(held, context), trust_env=False
        )

    def async_pool(self, secrets: tuple[Secret, ...]) -> httpx.AsyncBaseTransport:
        """Make a pool for the async clients of the running event loop; see `sync_pool`."""
        held = self._by_path(secrets)
        context = self._context(held)
        proxy = self._proxy(held, context)
        if self._settings.http != "httpx" and aiohttp_transport() is not None:
            from tenantry.clients.aiohttp_pool import AiohttpPool

            return AiohttpPool(context, self.limits, proxy)
        return httpx.AsyncHTTPTransport(
            verify=context, limits=self.limits, proxy=proxy, trust_env=False
        )

    def route(self, secrets: tuple[Secret, ...]) -> tuple[ssl.SSLContext, httpx.Proxy | None]:
        """Return trust and proxy of a socket that somebody else opens; see `sync_pool`."""
        held = self._by_path(secrets)
        context = self._context(held)
        return context, self._proxy(held, context)

    def _by_path(self, secrets: tuple[Secret, ...]) -> dict[str, Secret]:
        return dict(zip(self._fetched, secrets, strict=True))

    def _context(self, held: Mapping[str, Secret]) -> ssl.SSLContext:
        """Return the context for new sockets.

        While a certificate and its key are replaced one after the other they do not fit: then the
        last pair that did goes on serving.

        Raises:
            CredentialUnavailableError: a certificate or key that was fetched is of no use.
            ConfigError: a file that `tls` names is of no use.
        """
        try:
            certificate = self._certificate(held)
            identity = None if certificate is None else Identity(certificate, held.get(KEY))
            context = ssl_context(self._settings.tls, identity)
        except ConfigError as error:
            return self._in_place_of(error)
        if self._files or identity is not None:
            self._last_good = context
        return context

    def _in_place_of(self, error: ConfigError) -> ssl.SSLContext:
        [problem] = error.problems
        if self._last_good is not None:
            log.warning("tenantry: new connections go on as before: %s", problem)
            return self._last_good
        credential = self._fetched.get(problem.path)
        if credential is None:
            raise in_request(error) from error.__cause__
        raise in_request(
            CredentialUnavailableError(
                credential.tenant,
                reference=f"{problem.path} from {credential.reference}",
                reason=problem.message,
                retry_after=credential.keeper.policy.every,
            )
        ) from error.__cause__

    def _certificate(self, held: Mapping[str, Secret]) -> Secret | None:
        said = self._settings.tls.certificate
        if not isinstance(said, Path):
            return held.get(CERTIFICATE)
        try:
            return Secret(said.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not a text"
            raise ConfigError(Problem(f"{said} cannot be read: {why}", path=CERTIFICATE)) from error

    def _proxy(self, held: Mapping[str, Secret], context: ssl.SSLContext) -> httpx.Proxy | None:
        said = self._settings.proxy
        if said is None:
            return None
        password = held.get(PASSWORD)
        named = said.username is not None or password is not None
        secret = "" if password is None else password.reveal()
        return httpx.Proxy(
            said.url,
            auth=(said.username or "", secret) if named else None,
            ssl_context=context if said.url.startswith("https:") else None,
        )


_PATHS = (CERTIFICATE, KEY, PASSWORD)
