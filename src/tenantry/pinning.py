"""A version of a document that somebody wants to serve: asked for, pinned, and over in time."""

from __future__ import annotations

import math
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from tenantry.errors import Failure, SourceError
from tenantry.flight import Change, Fetch, Flight, Reason, fetched, worded
from tenantry.freshness import Limits
from tenantry.holding import Held, Holding

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

    from tenantry.breaker import Breaker
    from tenantry.refresher import Refresher
    from tenantry.secret import Document


@runtime_checkable
class VersionedFetch(Fetch, Protocol):
    """What can ask a source for a version of its document that is not the newest."""

    def at(self, version: str) -> Fetch:
        """Return what asks for that version.

        Raises:
            SourceError: the document has no versions, or this cannot be one.
        """
        raise NotImplementedError


class Pinnable:
    """The part of a keeper that lets a version serve which is not the newest; ends with it."""

    _fetch: Fetch
    _lock: threading.Lock

    def __init__(
        self,
        refresher: Refresher,
        lane: str,
        clock: Callable[[], float],
        dice: Callable[[], float],
        on_change: Callable[[Change], None],
        breaker: Breaker | None,
    ) -> None:
        self.clock = clock
        self.holding = Holding()
        self._refresher = refresher
        self._lane = lane
        self._dice = dice
        self._on_change = on_change
        self._breaker = breaker
        self._told_pin: Held | None = None

    def of_version(self, version: str) -> Future[Held]:
        """Find a version of the document among what is held, or have it fetched.

        What it brings is a `SourceError` where there is no such version.
        """
        answer: Future[Held] = Future()
        with self._lock:
            held = self.holding.all(self.clock())
        known = next((each for each in held if each.document.version == version), None)
        if known is not None:
            answer.set_result(known)
        else:
            self._refresher.submit(self._lane, lambda: self._settle(answer, version))
        return answer

    def pin(self, held: Held, seconds: float) -> None:
        """Let a value serve, and nothing else, for so long as it lives; what comes is kept."""
        lifetime = math.inf if held.document.lifetime is None else held.document.lifetime
        with self._lock:
            now = self.clock()
            until = min(now + seconds, held.got + lifetime)
            self.holding.set_pin(Held(held.document, Limits(until, until), now))
        self._refresher.schedule.at(until, self)
        self._tell_of_pin("replaced")

    def unpin(self, reason: str = "asked") -> bool:
        """End a pin; return whether there was one."""
        with self._lock:
            pinned = self.holding.pin is not None
            self.holding.set_pin(None)
        self._tell_of_pin(reason)
        return pinned

    def due(self) -> None:
        """End a pin whose time is over."""
        if self.holding.pin is not None and self.holding.pinned(self.clock()) is None:
            self.unpin("expired")

    def _tell_of_pin(self, reason: str) -> None:
        """Report the pin that ended since this was asked last, and the one that began."""
        with self._lock:
            before, after = self._told_pin, self.holding.pin
            self._told_pin = after
        if before is not after and before is not None:
            self._on_change(Change(before, None, pin=reason))
        if before is not after and after is not None:
            self._on_change(Change(after, None, pin="pinned"))

    def _settle(self, answer: Future[Held], version: str) -> None:
        if not answer.set_running_or_notify_cancel():
            return
        try:
            fetch = at_version(self._fetch, version)
            flight = Flight(self.clock(), Future(), Reason.WANTED)
            document = _exactly(version, self._asked(flight, fetch))
            answer.set_result(Held(document, Limits(math.inf, math.inf), self.clock()))
        except BaseException as error:  # noqa: BLE001  # whatever a source raises is its failure
            answer.set_exception(worded(error))

    def _asked(self, flight: Flight, fetch: Fetch) -> Document:
        return fetched(flight, fetch, self._breaker, self.clock, self._dice)


def at_version(fetch: Fetch, version: str) -> Fetch:
    """Return what asks for a version of the document that `fetch` asks for.

    Raises:
        SourceError: the source has no versions, or this cannot be one.
    """
    if not isinstance(fetch, VersionedFetch):
        raise without_versions(version)
    return fetch.at(version)


def without_versions(version: str) -> SourceError:
    """Say that a source has only one version of what it delivers."""
    reason = f"it has no versions to ask for, and version {version!r} is not held"
    return SourceError(reason, failure=Failure.DENIED)


def _exactly(version: str, document: Document) -> Document:
    if document.version != version:
        reason = f"version {version!r} was asked for, and {document.version!r} came"
        raise SourceError(reason, failure=Failure.DENIED)
    return document
