"""A Secret that keeps itself fresh, for one setting of one tenant."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tenantry.errors import CredentialUnavailableError, SourceError
from tenantry.flight import Unavailable
from tenantry.freshness import Freshness

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from tenantry.flight import Flight
    from tenantry.holding import Held
    from tenantry.keeper import Keeper
    from tenantry.secret import Secret


@dataclass(frozen=True, slots=True)
class CredentialStatus:
    """What is known of one credential, without its value. Ages and times in seconds.

    `fingerprint` tells one value from another; see `Secret.fingerprint`. `pinned_for` is how long
    this version is still pinned, None where it is not. Where nobody asked for it yet, it is
    expired and has no age.
    """

    setting: str
    reference: str
    version: str = ""
    fingerprint: str = ""
    freshness: Freshness = Freshness.EXPIRED
    age: float | None = None
    next_refresh: float | None = None
    last_error: str = ""
    source: str = ""
    pinned_for: float | None = None


class Credential:
    """The secret of one setting of one tenant; many may share one fetched document.

    `get()` and `aget()` return a usable secret: at once while one is held, and after a bounded
    wait where none is.
    """

    __slots__ = ("_field", "_keeper", "_latest", "reference", "setting", "source", "tenant")

    def __init__(
        self,
        keeper: Keeper,
        *,
        tenant: str,
        setting: str,
        field: str | None,
        source: str,
        reference: str,
    ) -> None:
        self.tenant = tenant
        self.setting = setting
        self.source = source
        self.reference = reference
        self._keeper = keeper
        self._field = field
        keeper.expect(field, setting)
        # A document and the secret read from it; one tuple, so that threads see both or neither.
        self._latest: tuple[Held | None, Secret | None] = (None, None)

    @property
    def keeper(self) -> Keeper:
        """What keeps the document; credentials that share it are filled from it together."""
        return self._keeper

    def get(self) -> Secret:
        """Return a usable secret; waits at most the policy's `wait` where none is held.

        Raises:
            CredentialUnavailableError: where none is held and none came.
        """
        keeper = self._keeper
        keeper.in_use = True
        holding = keeper.holding
        held, secret = self._latest
        # `_fresh` and `read` without a call: what was read last serves, and is fresh.
        if held is holding.held and secret is not None and keeper.clock() < holding.fresh_until:
            return secret
        return self.read(self._fresh() or self._waited(trying=False))

    async def aget(self) -> Secret:
        """Do what `get` does, without holding up the event loop."""
        return self.read(self._fresh() or await self._awaited(trying=False))

    def take(self) -> Held:
        """Return a document for one request, whose outcome is told by `accepted` or `replacement`.

        It may be a new value that the service has not accepted yet.

        Raises:
            CredentialUnavailableError: where none is held and none came.
        """
        return self._fresh() or self._waited(trying=True)

    async def atake(self) -> Held:
        """Do what `take` does, without holding up the event loop."""
        return self._fresh() or await self._awaited(trying=True)

    def accepted(self, held: Held) -> None:
        """Note that the service accepted what was taken."""
        self._keeper.accepted(held)

    def replacement(self, used: Any, read: Callable[[Held], Any]) -> Held | None:
        """Return another document than the one that was answered with 401, or None."""
        return self._keeper.replacement(used, read, self.tenant)

    async def areplacement(self, used: Any, read: Callable[[Held], Any]) -> Held | None:
        """Do what `replacement` does, without holding up the event loop."""
        return await self._keeper.areplacement(used, read, self.tenant)

    def _fresh(self) -> Held | None:
        """Return what may be served without looking further: no lock, one read of the clock."""
        keeper = self._keeper
        keeper.in_use = True
        holding = keeper.holding
        held = holding.held
        return held if keeper.clock() < holding.fresh_until else None

    def _waited(self, *, trying: bool) -> Held:
        try:
            return self._keeper.current(trying=trying)
        except Unavailable as unavailable:
            raise self._unavailable(unavailable) from unavailable.cause

    async def _awaited(self, *, trying: bool) -> Held:
        try:
            return await self._keeper.acurrent(trying=trying)
        except Unavailable as unavailable:
            raise self._unavailable(unavailable) from unavailable.cause

    def prefetch(self) -> Flight | None:
        """Start a fetch where none is held or it is stale; never waits, never raises.

        Returns:
            What flies, if anything.
        """
        return self._keeper.prefetch() if self._fresh() is None else None

    def peek(self) -> Secret | None:
        """Return the secret that is held, however old, without asking anybody."""
        held = self._keeper.held
        return None if held is None else self.readable(held)

    def peek_all(self) -> list[Secret]:
        """Return every value that is held: what serves, what is on trial, and what was before."""
        keeper = self._keeper
        found = map(self.readable, keeper.holding.all(keeper.clock()))
        return [secret for secret in found if secret is not None]

    def refresh(self, *, drop_previous: bool = False) -> None:
        """Fetch now, past any back-off; waits at most the policy's `wait`.

        With `drop_previous` nothing older serves again.

        Raises:
            CredentialUnavailableError: where the fetch failed or is not back, with its cause.
        """
        flight = self._keeper.refresh(drop_previous=drop_previous)
        flight.wait(self._keeper.policy.wait)
        self._raise_last_error(flight)

    async def arefresh(self, *, drop_previous: bool = False) -> None:
        """Do what `refresh` does, without holding up the event loop."""
        flight = self._keeper.refresh(drop_previous=drop_previous)
        await flight.await_(self._keeper.policy.wait)
        self._raise_last_error(flight)

    def outdate(self, instant: dt.datetime) -> None:
        """Fetch anew what was fetched before `instant`, and let nothing older serve after that.

        An instant that lies ahead, by this machine's clock, is waited for.
        """
        age = time.time() - instant.timestamp()
        self._keeper.outdate(self._keeper.clock() - age)

    def pin(self, version: str, seconds: float) -> None:
        """Let a version of the document serve for so long; those who share it are served it too.

        It is looked for among what is held, else fetched. Waits at most the policy's `wait`.

        Raises:
            SourceError: it cannot be had, or lacks the secret; nothing changes.
        """
        try:
            held = self._keeper.of_version(version).result(self._keeper.policy.wait)
        except TimeoutError:
            raise self._late() from None
        self._pin(held, seconds)

    async def apin(self, version: str, seconds: float) -> None:
        """Do what `pin` does, without holding up the event loop."""
        try:
            async with asyncio.timeout(self._keeper.policy.wait):
                held = await asyncio.wrap_future(self._keeper.of_version(version))
        except TimeoutError:
            raise self._late() from None
        self._pin(held, seconds)

    def unpin(self) -> bool:
        """Let the newest value serve again; return whether another one was pinned."""
        return self._keeper.unpin()

    def _pin(self, held: Held, seconds: float) -> None:
        held.document.secret(self._field, self.setting)
        self._keeper.pin(held, seconds)

    def _late(self) -> SourceError:
        return SourceError(f"no answer within {self._keeper.policy.wait:g} s")

    def status(self) -> CredentialStatus:
        keeper, held = self._keeper, self._keeper.held
        now = keeper.clock()
        pinned = keeper.holding.pinned(now)
        secret = None if held is None else self.readable(held)
        return CredentialStatus(
            setting=self.setting,
            reference=self.reference,
            version="" if held is None else held.document.version,
            fingerprint="" if secret is None else secret.fingerprint,
            freshness=keeper.freshness(),
            age=None if held is None else now - held.got,
            next_refresh=None if held is None else max(0.0, held.limits.soft - now),
            last_error="" if keeper.error is None else str(keeper.error),
            source=self.source,
            pinned_for=None if pinned is None else pinned.limits.hard - now,
        )

    def read(self, held: Held) -> Secret:
        """Take this setting's secret out of a document; looked up once per document.

        Raises:
            CredentialUnavailableError: where the document does not have it.
        """
        read_before, secret = self._latest
        if held is read_before and secret is not None:
            return secret
        try:
            secret = held.document.secret(self._field, self.setting)
        except SourceError as error:
            raise self._unavailable(Unavailable(error, self._keeper.policy.every)) from error
        if held is self._keeper.held:
            self._latest = (held, secret)
        return secret

    def readable(self, held: Held) -> Secret | None:
        """Do what `read` does; None where the document does not have the secret."""
        try:
            return self.read(held)
        except CredentialUnavailableError:
            return None

    def _raise_last_error(self, flight: Flight) -> None:
        error = self._keeper.error
        if not flight.done.done():
            late = self._late()
            raise self._unavailable(Unavailable(late, self._keeper.policy.wait)) from late
        if error is not None:
            retry_after = max(0.0, self._keeper.backoff.until - self._keeper.clock())
            raise self._unavailable(Unavailable(error, retry_after)) from error

    def _unavailable(self, unavailable: Unavailable) -> CredentialUnavailableError:
        return CredentialUnavailableError(
            self.tenant,
            reference=f"{self.setting} from {self.reference}",
            reason=str(unavailable.cause),
            retry_after=unavailable.retry_after,
        )
