"""One document that keeps itself fresh: fetched once for all who wait, served stale meanwhile.

Callers never fetch: flights run on the refresher's threads, so cancelling or killing a caller
cannot kill a fetch, and an event loop is never blocked. Sync and async callers wait on the same
flight. The lock guards state only, never I/O.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from tenantry.errors import Failure, SourceError
from tenantry.forks import survives_fork
from tenantry.freshness import (
    Backoff,
    Freshness,
    Limits,
    RefreshPolicy,
    forced_delay,
    limits,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenantry.refresher import Refresher
    from tenantry.secret import Document, Secret

FLIGHT_LIMIT = 60.0  # seconds; a flight that takes longer is given up, its thread is not waited for


class Fetch(Protocol):
    """What asks a source for the document; `forced` says that the held value was rejected."""

    def __call__(self, *, forced: bool) -> Document: ...


class Unavailable(Exception):  # noqa: N818  # never leaves the library: credential.py words it
    """No usable document is held. Has the last failure and the seconds until the next attempt."""

    def __init__(self, cause: SourceError, retry_after: float) -> None:
        super().__init__()
        self.cause = cause
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Held:
    """A delivered document and its limits."""

    document: Document
    limits: Limits
    got: float


@dataclass(frozen=True, slots=True)
class Change:
    """What a flight brought, for whoever keeps the books."""

    held: Held | None
    previous: Held | None
    error: SourceError | None
    retry_in: float
    usable: bool


class Flight:
    """One fetch on its way, and everybody who waits for it."""

    __slots__ = ("done", "forced", "started")

    def __init__(self, started: float, *, forced: bool) -> None:
        self.started = started
        self.forced = forced
        self.done: Future[None] = Future()

    def wait(self, limit: float) -> None:
        wait([self.done], limit)

    async def await_(self, limit: float) -> None:
        # asyncio.wait leaves the future alone when its caller is cancelled or out of time.
        await asyncio.wait([asyncio.wrap_future(self.done)], timeout=limit)


class Keeper:
    """Keeps one document; lives as long as the registry."""

    def __init__(
        self,
        fetch: Fetch,
        refresher: Refresher,
        lane: str,
        policy: RefreshPolicy,
        *,
        clock: Callable[[], float] = time.monotonic,
        dice: Callable[[], float] = random.random,
        on_change: Callable[[Change], None] = lambda _: None,
    ) -> None:
        self.policy = policy
        self.clock = clock
        self.held: Held | None = None  # swapped whole; read without the lock
        self.error: SourceError | None = None
        self.backoff = Backoff()
        self._fetch = fetch
        self._refresher = refresher
        self._lane = lane
        self._dice = dice
        self._on_change = on_change
        self._previous: tuple[Held, float] | None = None  # and the instant it is kept until
        self._forced_until = 0.0
        self._unchanged = 0
        self._flight: Flight | None = None
        self.after_fork()
        survives_fork(self)

    def after_fork(self) -> None:
        """Keep the values and forget the flight: its thread stayed with the parent."""
        self._lock = threading.Lock()
        self._flight = None

    def tighten(self, policy: RefreshPolicy) -> None:
        """Obey the smaller of each limit: tenants that share a document share its limits."""
        mine = self.policy
        self.policy = RefreshPolicy(
            every=min(mine.every, policy.every),
            max_stale=min(mine.max_stale, policy.max_stale),
            overlap=min(mine.overlap, policy.overlap),
            wait=min(mine.wait, policy.wait),
        )

    # -- reading ----------------------------------------------------------------------------------

    def current(self) -> Held:
        """Return a usable document; waits at most `policy.wait` where none is held.

        Raises:
            Unavailable: where none is held and none came.
        """
        held, flight = self._look()
        if held is None and flight is not None:
            flight.wait(self.policy.wait)
        return held or self._arrived()

    async def acurrent(self) -> Held:
        """Do what `current` does, without holding up the event loop."""
        held, flight = self._look()
        if held is None and flight is not None:
            await flight.await_(self.policy.wait)
        return held or self._arrived()

    def better(self, used: Secret, read: Callable[[Held], Secret]) -> Secret | None:
        """Return another secret than `used`, which the service rejected, or None.

        Args:
            used: the secret that was answered with 401.
            read: takes the secret in question out of a document.
        """
        found, flight = self._rejected(used, read)
        if flight is not None:
            flight.wait(self.policy.wait)
            found = self._other(used, read)
        return found

    async def abetter(self, used: Secret, read: Callable[[Held], Secret]) -> Secret | None:
        """Do what `better` does, without holding up the event loop."""
        found, flight = self._rejected(used, read)
        if flight is not None:
            await flight.await_(self.policy.wait)
            found = self._other(used, read)
        return found

    def prefetch(self) -> Flight | None:
        """Start a flight where one is due, without waiting for it; returns it where one flies."""
        return self._look()[1]

    def refresh(self) -> Flight:
        """Start a flight now, past any back-off, or join the one that is on its way."""
        with self._lock:
            return self._start(self.clock(), forced=True)

    def freshness(self) -> Freshness:
        held = self.held
        return Freshness.EXPIRED if held is None else held.limits.freshness(self.clock())

    # -- state ------------------------------------------------------------------------------------

    def _look(self) -> tuple[Held | None, Flight | None]:
        """Return what may be served, or else the flight to wait for."""
        with self._lock:
            now = self.clock()
            self._give_up_late_flight(now)
            held = self.held
            usable = held is not None and held.limits.freshness(now) is not Freshness.EXPIRED
            stale = held is None or now >= held.limits.soft
            if stale and self._flight is None and self.backoff.allows(now):
                self._start(now, forced=False)
            return (held, None) if usable else (None, self._flight)

    def _arrived(self) -> Held:
        """Return what a flight brought.

        Raises:
            Unavailable: where it brought nothing usable, or has not come back.
        """
        with self._lock:
            now = self.clock()
            held = self.held
            if held is not None and held.limits.freshness(now) is not Freshness.EXPIRED:
                return held
            if self._flight is not None or self.error is None:
                late = SourceError(f"no answer within {self.policy.wait:g} s")
                raise Unavailable(late, self.policy.wait)
            raise Unavailable(self.error, max(0.0, self.backoff.until - now))

    def _rejected(
        self, used: Secret, read: Callable[[Held], Secret]
    ) -> tuple[Secret | None, Flight | None]:
        held = self.held
        if held is not None and (current := read(held)) != used:
            return current, None  # somebody was faster: compare first, ask later
        with self._lock:
            now = self.clock()
            self._give_up_late_flight(now)
            if self._flight is not None and self._flight.forced:
                return None, self._flight
            if now < self._forced_until:
                return self._previous_secret(used, read), None
            return None, self._start(now, forced=True)

    def _other(self, used: Secret, read: Callable[[Held], Secret]) -> Secret | None:
        """Return the current secret, else the previous one, if it is not the one used."""
        held = self.held
        if held is not None and (current := read(held)) != used:
            return current
        return self._previous_secret(used, read)

    def _previous_secret(self, used: Secret, read: Callable[[Held], Secret]) -> Secret | None:
        if self._previous is None or self.clock() >= self._previous[1]:
            return None
        previous = read(self._previous[0])
        return previous if previous != used else None

    def _give_up_late_flight(self, now: float) -> None:
        if self._flight is not None and now - self._flight.started > FLIGHT_LIMIT:
            self._note_failure(SourceError(f"no answer within {FLIGHT_LIMIT:g} s"), now)
            self._flight = None

    # -- flights ----------------------------------------------------------------------------------

    def _start(self, now: float, *, forced: bool) -> Flight:
        if self._flight is not None and (self._flight.forced or not forced):
            return self._flight
        flight = self._flight = Flight(now, forced=forced)
        self._refresher.submit(self._lane, lambda: self._fly(flight))
        return flight

    def _fly(self, flight: Flight) -> None:
        change: Change | None = None
        try:
            change = self._delivered(flight, self._fetch(forced=flight.forced))
        except SourceError as error:
            change = self._failed(flight, error)
        except Exception as error:  # noqa: BLE001  # whatever a source raises is its failure
            failure = SourceError(f"the source failed with {type(error).__name__}")
            failure.__cause__ = error
            change = self._failed(flight, failure)
        finally:
            flight.done.set_result(None)
        self._on_change(change)

    def _delivered(self, flight: Flight, document: Document) -> Change:
        if document.lifetime is not None and document.lifetime <= 0:
            reason = "the secret arrived already expired"
            raise SourceError(reason, hint="compare this machine's clock with the source's")
        with self._lock:
            now = self.clock()
            held = Held(document, self._limits(now, document), now)
            before, self.held = self.held, held
            changed = before is not None and not before.document.same_content(document)
            if before is not None and changed:
                self._previous = (before, now + self.policy.overlap)
            if flight.forced:
                self._unchanged = 0 if changed else self._unchanged + 1
                self._forced_until = now if changed else now + forced_delay(self._unchanged - 1)
            self.error, self.backoff = None, Backoff()
            self._land(flight)
        return Change(held, before if changed else None, None, 0.0, usable=True)

    def _limits(self, now: float, document: Document) -> Limits:
        return limits(
            now,
            self.policy,
            self._dice(),
            lifetime=document.lifetime,
            refresh_in=document.refresh_in,
        )

    def _failed(self, flight: Flight, error: SourceError) -> Change:
        with self._lock:
            now = self.clock()
            usable = self._note_failure(error, now)
            if flight.forced:
                self._forced_until = self.backoff.until
            self._land(flight)
            retry_in = self.backoff.until - now
        return Change(self.held, None, error, retry_in, usable)

    def _note_failure(self, error: SourceError, now: float) -> bool:
        held = self.held
        usable = held is not None and held.limits.freshness(now) is not Freshness.EXPIRED
        failure = Failure.TRANSIENT if error.failure is Failure.ABSENT else error.failure
        self.error = error
        self.backoff = self.backoff.after(
            failure, now, self._dice(), usable=usable, retry_after=error.retry_after
        )
        return usable

    def _land(self, flight: Flight) -> None:
        if self._flight is flight:
            self._flight = None
