"""One document that keeps itself fresh: fetched once for all who wait, served stale meanwhile.

Callers never fetch: flights run on the refresher's threads, so cancelling or killing a caller
cannot kill a fetch, and an event loop is never blocked. Sync and async callers wait on the same
flight. The lock guards state only, never I/O.
"""

from __future__ import annotations

import asyncio
import math
import random
import threading
import time
import traceback
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import PurePath
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

    __slots__ = ("done", "forced", "rejected", "started")

    def __init__(
        self, started: float, done: Future[None], *, forced: bool, rejected: bool = False
    ) -> None:
        self.started = started
        self.done = done
        self.forced = forced
        self.rejected = rejected  # a 401 was the reason

    def wait(self, limit: float) -> None:
        wait([self.done], limit)

    async def await_(self, limit: float) -> None:
        loop, landed = asyncio.get_running_loop(), asyncio.Event()

        def wake(_: Future[None]) -> None:
            with suppress(RuntimeError):  # the loop was closed, and nobody waits any more
                loop.call_soon_threadsafe(landed.set)

        # Not asyncio.wrap_future: cancelled, it would take the flight of all others along.
        self.done.add_done_callback(wake)
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await landed.wait()


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
        with self._lock:
            mine, held = self.policy, self.held
            self.policy = RefreshPolicy(
                every=min(mine.every, policy.every),
                max_stale=min(mine.max_stale, policy.max_stale),
                overlap=min(mine.overlap, policy.overlap),
                wait=min(mine.wait, policy.wait),
            )
            if held is not None and self.policy != mine:
                new = self._limits(held.got, held.document)
                sooner = Limits(min(held.limits.soft, new.soft), min(held.limits.hard, new.hard))
                self.held = replace(held, limits=sooner)

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

    def better(self, used: Secret, read: Callable[[Held], Secret | None]) -> Secret | None:
        """Return another secret than `used`, which the service rejected, or None.

        Args:
            used: the secret that was answered with 401.
            read: takes the secret in question out of a document, None where it is not in there.
        """
        found, flight = self._rejected(used, read)
        if flight is not None:
            flight.wait(self.policy.wait)
            found = self._other(used, read)
        return found

    async def abetter(self, used: Secret, read: Callable[[Held], Secret | None]) -> Secret | None:
        """Do what `better` does, without holding up the event loop."""
        found, flight = self._rejected(used, read)
        if flight is not None:
            await flight.await_(self.policy.wait)
            found = self._other(used, read)
        return found

    def prefetch(self) -> Flight | None:
        """Start a flight where one is due, without waiting for it; returns it where one flies."""
        self._look()
        return self._flight

    def refresh(self) -> Flight:
        """Start a flight now, past any back-off, or join the one that is on its way."""
        with self._lock:
            now = self.clock()
            self._give_up_late_flight(now)
            return self._start(now, forced=True)

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
        self, used: Secret, read: Callable[[Held], Secret | None]
    ) -> tuple[Secret | None, Flight | None]:
        with self._lock:
            now = self.clock()
            self._give_up_late_flight(now)
            held = self.held
            current = None if held is None else read(held)
            if current is not None and current != used:
                return current, None  # somebody was faster: compare first, ask later
            if self._flight is not None and self._flight.forced:
                return None, self._flight
            if now < self._forced_until or self._denied(now):
                return self._previous_secret(used, read), None
            return None, self._start(now, forced=True, rejected=True)

    def _denied(self, now: float) -> bool:
        """Whether the source refuses us, and must not be asked again whoever wants it."""
        denied = self.error is not None and self.error.failure is Failure.DENIED
        return denied and not self.backoff.allows(now)

    def _other(self, used: Secret, read: Callable[[Held], Secret | None]) -> Secret | None:
        """Return the current secret, else the previous one, if it is not the one used."""
        with self._lock:
            held = self.held
            current = None if held is None else read(held)
            if current is not None and current != used:
                return current
            return self._previous_secret(used, read)

    def _previous_secret(
        self, used: Secret, read: Callable[[Held], Secret | None]
    ) -> Secret | None:
        if self._previous is None or self.clock() >= self._previous[1]:
            return None
        previous = read(self._previous[0])
        return previous if previous != used else None

    def _give_up_late_flight(self, now: float) -> None:
        flight = self._flight
        if flight is not None and now - flight.started > FLIGHT_LIMIT:
            self._note_failure(SourceError(f"no answer within {FLIGHT_LIMIT:g} s"), now)
            self._land(flight)

    # -- flights ----------------------------------------------------------------------------------

    def _start(self, now: float, *, forced: bool, rejected: bool = False) -> Flight:
        before = self._flight
        if before is not None and (before.forced or not forced):
            return before
        # What flies already may bring the rejected value: whoever waits for it waits on.
        done = Future[None]() if before is None else before.done
        flight = self._flight = Flight(now, done, forced=forced, rejected=rejected)
        try:
            self._refresher.submit(self._lane, lambda: self._fly(flight))
        except RuntimeError:
            self._note_failure(SourceError("this process cannot start another thread"), now)
            self._land(flight)
        return flight

    def _fly(self, flight: Flight) -> None:
        if self._flight is not flight:
            return  # given up, or overtaken, before a thread was free for it
        try:
            self._on_change(self._outcome(flight))
        finally:
            # Not before it is reported: the next flight must not be reported first.
            with self._lock:
                self._land(flight)

    def _outcome(self, flight: Flight) -> Change:
        try:
            return self._delivered(flight, self._fetch(forced=flight.forced))
        except BaseException as error:  # noqa: BLE001  # whatever a source raises is its failure
            return self._failed(flight, _worded(error))

    def _delivered(self, flight: Flight, document: Document) -> Change:
        if document.lifetime is not None and not document.lifetime > 0:
            reason = "the secret arrived already expired"
            raise SourceError(reason, hint="compare this machine's clock with the source's")
        with self._lock:
            now = self.clock()
            if self._overtaken(flight):
                return Change(self.held, None, None, 0.0, usable=True)
            held = Held(document, self._limits(now, document), now)
            before, self.held = self.held, held
            changed = before is not None and not before.document.same_content(document)
            if before is not None and changed:
                self._previous = (before, now + self.policy.overlap)
            self._pace_forced(flight, now, changed=changed)
            self.error, self.backoff = None, Backoff()
        return Change(held, before if changed else None, None, 0.0, usable=True)

    def _overtaken(self, flight: Flight) -> bool:
        """Whether a flight that started later has delivered: what this one brings is older."""
        held = self.held
        return self._flight is not flight and held is not None and held.got >= flight.started

    def _pace_forced(self, flight: Flight, now: float, *, changed: bool) -> None:
        if changed:
            self._unchanged, self._forced_until = 0, now
        elif flight.rejected:
            self._forced_until = now + forced_delay(self._unchanged)
            self._unchanged += 1

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
            if self._overtaken(flight):
                return Change(self.held, None, None, 0.0, usable=True)
            usable = self._note_failure(error, now)
            if flight.rejected:
                self._forced_until = self.backoff.until
            retry_in = self.backoff.until - now
        return Change(self.held, None, error, retry_in, usable)

    def _note_failure(self, error: SourceError, now: float) -> bool:
        held = self.held
        usable = held is not None and held.limits.freshness(now) is not Freshness.EXPIRED
        failure = Failure.TRANSIENT if error.failure is Failure.ABSENT else error.failure
        self.error = error
        self.backoff = self.backoff.after(
            failure,
            now,
            self._dice(),
            usable=usable,
            retry_after=error.retry_after,
            left=math.inf if held is None else held.limits.hard - now,
        )
        return usable

    def _land(self, flight: Flight) -> None:
        if self._flight is flight:
            self._flight = None
            flight.done.set_result(None)


def _worded(error: BaseException) -> SourceError:
    """Say where a source failed, and not what its exception says: that may quote a secret."""
    if isinstance(error, SourceError):
        return error
    where = ""
    if error.__traceback__ is not None:
        *_, (frame, line) = traceback.walk_tb(error.__traceback__)
        where = f" at {PurePath(frame.f_code.co_filename).name}:{line}"
    return SourceError(f"the source failed with {type(error).__name__}{where}")
