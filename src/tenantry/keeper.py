"""One document that keeps itself fresh: fetched once for all who wait, served stale meanwhile.

Callers never fetch: flights run on the refresher's threads, so cancelling or killing a caller
cannot kill a fetch, and an event loop is never blocked. Sync and async callers wait on the same
flight. The lock guards state only, never I/O.
"""

from __future__ import annotations

import math
import random
import threading
import time
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tenantry.errors import Failure, SourceError
from tenantry.flight import Change, Fetch, Flight, Reason, Unavailable, worded
from tenantry.forks import survives_fork
from tenantry.freshness import Ahead, Backoff, Freshness, Limits, Paces, RefreshPolicy, limits
from tenantry.holding import Held, if_other
from tenantry.pinning import Pinnable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenantry.breaker import Breaker
    from tenantry.refresher import Refresher
    from tenantry.secret import Document

NO_BACKOFF = Backoff()
FLIGHT_LIMIT = 60.0  # seconds; a flight that takes longer is given up, its thread is not waited for


class Keeper(Pinnable):
    """Keeps one document; lives as long as the registry.

    `in_use` says whether anybody read it since it came: what nobody reads is not refreshed ahead.
    """

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
        breaker: Breaker | None = None,
    ) -> None:
        super().__init__(refresher, lane, clock, dice, on_change, breaker)
        self.policy = policy
        self.in_use = False
        self.error: SourceError | None = None
        self.backoff = NO_BACKOFF
        self._fetch = fetch
        self._expected: tuple[tuple[str | None, str], ...] = ()
        self._paces = Paces()
        self._flight: Flight | None = None
        self._nothing_before = -math.inf  # what came earlier is dropped by the next that delivers
        self._ahead = Ahead()
        self.after_fork()
        survives_fork(self)

    def after_fork(self) -> None:
        """Keep the values and forget the flight: its thread stayed with the parent."""
        self._lock = threading.Lock()
        self._flight = None

    @property
    def held(self) -> Held | None:
        """What serves, however old."""
        return self.holding.serving(self.clock())

    @property
    def empty(self) -> bool:
        """Whether nothing was fetched, failed or is on its way."""
        held = self.holding.newest or self.holding.pin
        return held is None and self._flight is None and self.error is None

    def freshness(self) -> Freshness:
        return self.holding.freshness(self.clock())

    def expect(self, field: str | None, setting: str) -> None:
        """Hold later documents to having this secret, if the one that serves has it."""
        if (field, setting) not in self._expected:
            self._expected = (*self._expected, (field, setting))

    def obey(self, policy: RefreshPolicy) -> None:
        """Take other limits; what is held obeys at once where they are smaller."""
        with self._lock:
            before, self.policy = self.policy, policy
            held = self.holding.held
            if held is not None and policy != before:
                self.holding.tighten(self._limits(held.got, held.document))

    def forget(self) -> None:
        """Drop the values: who needed them is gone."""
        with self._lock:
            self.holding.drop()
            self.in_use = False
        self._tell_of_pin("dropped")

    # -- reading ----------------------------------------------------------------------------------

    def current(self, *, trying: bool = False) -> Held:
        """Return a usable document; waits at most `policy.wait` where none is held.

        Args:
            trying: the caller sends a request with it and says how that went, by `accepted` or
                `replacement`: it may be given a new value that is on trial.

        Raises:
            Unavailable: where none is held and none came.
        """
        held, flight = self._look(trying=trying)
        if held is None and flight is not None:
            flight.wait(self.policy.wait)
        return held or self._arrived()

    async def acurrent(self, *, trying: bool = False) -> Held:
        """Do what `current` does, without holding up the event loop."""
        held, flight = self._look(trying=trying)
        if held is None and flight is not None:
            await flight.await_(self.policy.wait)
        return held or self._arrived()

    def accepted(self, held: Held) -> None:
        """Note that the service accepted a document."""
        if held.document is self.holding.proven:
            return
        with self._lock:
            overlap = self.policy.overlap
            if self.holding.accepted(held.document, self.clock(), overlap=overlap):
                self._paces.reset()

    def replacement(self, used: Any, read: Callable[[Held], Any], tenant: str = "") -> Held | None:
        """Return another document than the one that the service rejected, or None.

        Args:
            used: what of the document was answered with 401.
            read: takes the same out of a document, None where it is not in there.
            tenant: whose 401 it was: the fetches that it forces are limited per tenant.
        """
        found, flight = self._rejected(used, read, tenant)
        if flight is not None:
            flight.wait(self.policy.wait)
            found = self._other(used, read)
        return found

    async def areplacement(
        self, used: Any, read: Callable[[Held], Any], tenant: str = ""
    ) -> Held | None:
        """Do what `replacement` does, without holding up the event loop."""
        found, flight = self._rejected(used, read, tenant)
        if flight is not None:
            await flight.await_(self.policy.wait)
            found = self._other(used, read)
        return found

    def prefetch(self) -> Flight | None:
        """Start a flight where one is due, without waiting for it; returns it where one flies."""
        self._look()
        return self._flight

    def due(self) -> None:
        """Refresh ahead of need, if anybody read the document since it came."""
        super().due()
        with self._lock:
            come = self._ahead.come(self.clock())
        if come is not None:
            self.outdate(come)
        if self.in_use:
            self._look()

    def refresh(self, *, drop_previous: bool = False) -> Flight:
        """Start a flight now, past any back-off, or join the one that is on its way.

        With `drop_previous` what it brings serves at once, and nothing older serves again.
        """
        with self._lock:
            now = self.clock()
            self._give_up_late_flight(now)
            return self._start(now, Reason.WANTED, drop_previous=drop_previous)

    def outdate(self, instant: float) -> None:
        """Fetch anew what was fetched before `instant`, and let nothing older serve after that.

        What flies since before may bring what was before. An instant that lies ahead is waited for.
        """
        with self._lock:
            now = self.clock()
            if instant > now:
                if (moment := self._ahead.wait_for(instant, now)) is not None:
                    self._refresher.schedule.at(moment, self)
                return
            in_doubt = self._flight is not None and self._flight.started < instant
            if self.holding.outdate(instant, now) or in_doubt:
                self._start(now, Reason.WANTED, drop_previous=True, since=instant)
        self._tell_of_pin("dropped")

    # -- looking ----------------------------------------------------------------------------------

    def _look(self, *, trying: bool = False) -> tuple[Held | None, Flight | None]:
        """Return what may be served, or else the flight to wait for."""
        with self._lock:
            now = self.clock()
            self._give_up_late_flight(now)
            newest = self.holding.newest
            stale = newest is None or now >= newest.limits.soft
            if stale and self._flight is None and self.backoff.allows(now):
                self._start(now, Reason.DUE)
            return self._served(now, trying=trying), self._flight

    def _served(self, now: float, *, trying: bool = False) -> Held | None:
        return self.holding.served(now, trying=trying, overlap=self.policy.overlap)

    def _arrived(self) -> Held:
        """Return what a flight brought.

        Raises:
            Unavailable: where it brought nothing usable, or has not come back.
        """
        with self._lock:
            now = self.clock()
            held = self._served(now)
            if held is not None:
                return held
            if self._flight is not None or self.error is None:
                late = SourceError(f"no answer within {self.policy.wait:g} s")
                raise Unavailable(late, self.policy.wait)
            raise Unavailable(self.error, max(0.0, self.backoff.until - now))

    def _rejected(
        self, used: Any, read: Callable[[Held], Any], tenant: str
    ) -> tuple[Held | None, Flight | None]:
        with self._lock:
            now = self.clock()
            self._give_up_late_flight(now)
            if (pinned := self.holding.pinned(now)) is not None:
                return if_other(pinned, used, read), None  # who pins it wants to see what happens
            may_force = self._paces.allow(tenant, now) and not self._denied(now)
            serving, news = self.holding.refused(used, read)
            if news:
                self._on_change(Change(self.holding.newest, self.holding.held, rejected=True))
            if serving is not None:
                if self._flight is None and may_force:
                    self._start(now, Reason.REJECTED, tenant=tenant)  # the fault may be mended
                return serving, None
            # Somebody may have been faster: compare first, ask later.
            if (newest := self.holding.newest_but(used, read)) is not None:
                return newest, None
            if self._flight is not None and self._flight.forced:
                return None, self._flight
            if not may_force:
                return self.holding.previous_but(used, read, now), None
            return None, self._start(now, Reason.REJECTED, tenant=tenant)

    def _other(self, used: Any, read: Callable[[Held], Any]) -> Held | None:
        with self._lock:
            now = self.clock()
            if (pinned := self.holding.pinned(now)) is not None:
                return if_other(pinned, used, read)
            newest = self.holding.newest_but(used, read)
            return newest or self.holding.previous_but(used, read, now)

    def _denied(self, now: float) -> bool:
        """Whether the source refuses us, and must not be asked again whoever wants it."""
        denied = self.error is not None and self.error.failure is Failure.DENIED
        return denied and not self.backoff.allows(now)

    def _give_up_late_flight(self, now: float) -> None:
        flight = self._flight
        if flight is not None and now - flight.started > FLIGHT_LIMIT:
            self._note_failure(SourceError(f"no answer within {FLIGHT_LIMIT:g} s"), now)
            self._land(flight)

    # -- flights ----------------------------------------------------------------------------------

    def _start(
        self,
        now: float,
        reason: Reason,
        *,
        tenant: str = "",
        drop_previous: bool = False,
        since: float = -math.inf,
    ) -> Flight:
        if drop_previous:
            self._nothing_before = now
        before = self._flight
        if before is not None and before.joinable(reason, since):
            before.drop_previous |= drop_previous
            return before
        # What flies already may bring the rejected value: whoever waits for it waits on.
        done = Future[None]() if before is None else before.done
        flight = self._flight = Flight(
            now, done, reason, tenant=tenant, drop_previous=drop_previous
        )
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
            self._tell_of_pin("dropped")
        finally:
            # Not before it is reported: the next flight must not be reported first.
            with self._lock:
                self._land(flight)

    def _outcome(self, flight: Flight) -> Change:
        try:
            return self._delivered(flight, self._asked(flight, self._fetch))
        except BaseException as error:  # noqa: BLE001  # whatever a source raises is its failure
            return self._failed(flight, worded(error))

    def _delivered(self, flight: Flight, document: Document) -> Change:
        with self._lock:
            now = self.clock()
            if self._overtaken(flight):
                return Change(self.held, None)
            held = self.holding.held
            if held is not None:
                document.check_against(held.document, self._expected)
            before = self.holding.newest
            changed = before is not None and not before.document.same_content(document)
            fresh = Held(document, self._limits(now, document), now)
            if self._flight is not flight and flight.started < self._nothing_before:
                # It may be old, so another one flies: should that fail, the next is due at once.
                fresh = replace(fresh, limits=Limits(now, fresh.limits.hard))
            mistrusted = held is not None and held.got < self._nothing_before
            drop = flight.drop_previous or (mistrusted and flight.started >= self._nothing_before)
            self.holding.take(fresh, overlap=self.policy.overlap, drop_previous=drop)
            if flight.reason is Reason.REJECTED:
                note = self._paces.fetched_another if changed else self._paces.fetched_the_same
                note(flight.tenant, now)
            elif changed:
                self._paces.reset()
            self.error, self.backoff, self.in_use = None, NO_BACKOFF, False
        self._refresher.schedule.at(fresh.limits.soft, self)
        return Change(fresh, before if changed else None, seconds=now - flight.started)

    def _overtaken(self, flight: Flight) -> bool:
        """Whether a flight that started later has delivered: what this one brings is older."""
        newest = self.holding.newest
        return self._flight is not flight and newest is not None and newest.got >= flight.started

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
                return Change(self.held, None)
            if error.failure is Failure.ABSENT and self.policy.drop_removed:
                self.holding.drop()
            usable = self._note_failure(error, now)
            if flight.reason is Reason.REJECTED:
                self._paces.hold(flight.tenant, self.backoff.until)
            retry_at = self.backoff.until
        if usable:
            self._refresher.schedule.at(retry_at, self)
        return Change(self.held, None, error, retry_at - now, usable, seconds=now - flight.started)

    def _note_failure(self, error: SourceError, now: float) -> bool:
        held = self.holding.held
        usable = self.holding.usable(now)
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
