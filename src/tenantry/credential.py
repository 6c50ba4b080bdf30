"""A Secret that keeps itself fresh, for one setting of one tenant."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenantry.errors import CredentialUnavailableError, SourceError
from tenantry.events import Event, EventStream, RefreshFailed, SecretRotated
from tenantry.forks import survives_fork
from tenantry.keeper import Change, Fetch, Flight, Held, Keeper, Unavailable
from tenantry.refresher import Refresher

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from tenantry.freshness import Freshness, RefreshPolicy
    from tenantry.secret import Secret


@dataclass(frozen=True, slots=True)
class CredentialStatus:
    """What is known of one credential, without its value. Ages and times in seconds."""

    setting: str
    reference: str
    version: str
    freshness: Freshness
    age: float | None
    next_refresh: float | None
    last_error: str


class Credential:
    """The secret of one setting of one tenant; many may share one fetched document.

    `get()` and `aget()` return a usable secret: at once while one is held, and after a bounded
    wait where none is.
    """

    __slots__ = ("_field", "_keeper", "_latest", "reference", "setting", "tenant")

    def __init__(
        self, keeper: Keeper, *, tenant: str, setting: str, field: str | None, reference: str
    ) -> None:
        self.tenant = tenant
        self.setting = setting
        self.reference = reference
        self._keeper = keeper
        self._field = field
        # A document and the secret read from it; one tuple, so that threads see both or neither.
        self._latest: tuple[Held | None, Secret | None] = (None, None)

    def get(self) -> Secret:
        """Return a usable secret; waits at most the policy's `wait` where none is held.

        Raises:
            CredentialUnavailableError: where none is held and none came.
        """
        keeper = self._keeper
        held = keeper.held
        if held is not None and keeper.clock() < held.limits.soft:
            return self._read(held)
        try:
            return self._read(keeper.current())
        except Unavailable as unavailable:
            raise self._unavailable(unavailable) from unavailable.cause

    async def aget(self) -> Secret:
        """Do what `get` does, without holding up the event loop."""
        keeper = self._keeper
        held = keeper.held
        if held is not None and keeper.clock() < held.limits.soft:
            return self._read(held)
        try:
            return self._read(await keeper.acurrent())
        except Unavailable as unavailable:
            raise self._unavailable(unavailable) from unavailable.cause

    def better(self, used: Secret) -> Secret | None:
        """Return another secret than `used`, which was answered with 401, or None."""
        return self._keeper.better(used, self._readable)

    async def abetter(self, used: Secret) -> Secret | None:
        """Do what `better` does, without holding up the event loop."""
        return await self._keeper.abetter(used, self._readable)

    def prefetch(self) -> None:
        """Start a fetch where none is held or it is stale; never waits, never raises."""
        held = self._keeper.held
        if held is None or self._keeper.clock() >= held.limits.soft:
            self._keeper.prefetch()

    def peek(self) -> Secret | None:
        """Return the secret that is held, however old, without asking anybody."""
        held = self._keeper.held
        return None if held is None else self._readable(held)

    def refresh(self) -> None:
        """Fetch now, past any back-off; waits at most the policy's `wait`.

        Raises:
            CredentialUnavailableError: where the fetch failed or is not back, with its cause.
        """
        flight = self._keeper.refresh()
        flight.wait(self._keeper.policy.wait)
        self._raise_last_error(flight)

    async def arefresh(self) -> None:
        """Do what `refresh` does, without holding up the event loop."""
        flight = self._keeper.refresh()
        await flight.await_(self._keeper.policy.wait)
        self._raise_last_error(flight)

    def status(self) -> CredentialStatus:
        keeper, held = self._keeper, self._keeper.held
        now = keeper.clock()
        return CredentialStatus(
            setting=self.setting,
            reference=self.reference,
            version="" if held is None else held.document.version,
            freshness=keeper.freshness(),
            age=None if held is None else now - held.got,
            next_refresh=None if held is None else max(0.0, held.limits.soft - now),
            last_error="" if keeper.error is None else str(keeper.error),
        )

    def _read(self, held: Held) -> Secret:
        """Take this setting's secret out of a document, once per document."""
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

    def _readable(self, held: Held) -> Secret | None:
        try:
            return self._read(held)
        except CredentialUnavailableError:
            return None

    def _raise_last_error(self, flight: Flight) -> None:
        error, wait = self._keeper.error, self._keeper.policy.wait
        if not flight.done.done():
            late = SourceError(f"no answer within {wait:g} s")
            raise self._unavailable(Unavailable(late, wait)) from late
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


class Keyring:
    """Every document of one registry by source and locator, each kept once."""

    def __init__(self, events: EventStream) -> None:
        self._refresher = Refresher()
        self._events = events
        self._keepers: dict[Hashable, Keeper] = {}
        self.after_fork()
        survives_fork(self)

    def after_fork(self) -> None:
        """Take a new lock: the thread that may have held the old one is gone."""
        self._lock = threading.Lock()  # guards _keepers

    def keeper(
        self,
        source: str,
        locator: Hashable,
        policy: RefreshPolicy,
        fetch: Fetch,
        *,
        tenant: str,
        lane: str = "",
    ) -> Keeper:
        """Return the one keeper of a document, made on first request; its lane is the source's."""
        key = (source, locator)
        with self._lock:
            kept = self._keepers.get(key)
            if kept is None:
                kept = self._keepers[key] = Keeper(
                    fetch,
                    self._refresher,
                    lane or source,
                    policy,
                    on_change=self._reporter(source, tenant),
                )
                return kept
        kept.tighten(policy)
        return kept

    def close(self) -> None:
        self._refresher.close()

    def _reporter(self, source: str, tenant: str) -> Callable[[Change], None]:
        def report(change: Change) -> None:
            if self._events.wanted and (event := _event(change, source, tenant)) is not None:
                self._events.publish(event)

        return report


def _event(change: Change, source: str, tenant: str) -> Event | None:
    if change.error is not None:
        return RefreshFailed(
            tenant,
            source=source,
            reason=str(change.error),
            failure=change.error.failure.value,
            retry_in=change.retry_in,
            usable=change.usable,
        )
    if change.held is None or change.previous is None:
        return None
    return SecretRotated(
        tenant,
        source=source,
        version=change.held.document.version,
        previous_version=change.previous.document.version,
    )
