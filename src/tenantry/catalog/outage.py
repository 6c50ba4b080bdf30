"""Does the engine answer? While it does not, one probe at a time asks for all.

Pure but for its lock and what it tells: it is told what time it is (seconds on a monotonic clock)
and how the dice fell (a number from 0 to 1).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tenantry.errors import CatalogUnavailableError
from tenantry.events import CatalogRecovered, CatalogUnavailable
from tenantry.forks import survives_fork

if TYPE_CHECKING:
    from tenantry.events import EventStream

PROBE_EVERY = 0.5  # seconds, and up to twice that


class Outage:
    """Knows whether an engine is away, and since when; lives as long as its catalog.

    One failure is enough: the next reads fail at once, but for one probe at a time. Who polls asks
    all the same. Only that ends an outage: until then nobody knows what changed meanwhile.

    Args:
        now: when what is in memory was known to be right.
        max_stale: seconds without an answer after which that is not trusted; None is never.
    """

    def __init__(
        self, origin: str, events: EventStream, now: float, max_stale: float | None = None
    ) -> None:
        self.max_stale = max_stale
        self.reason = ""  # of the outage; empty where there is none
        self.distrusted = False  # whether what is in memory is too old to be served
        self._last_answer = now  # to a poll
        self._origin = origin
        self._events = events
        self._next_probe = 0.0
        self.after_fork()
        survives_fork(self)

    def after_fork(self) -> None:
        """Take a new lock: the thread that may have held the old one is gone."""
        self._lock = threading.Lock()

    def check(self, now: float, dice: float) -> None:
        """Let a read go: any while the engine answers, one probe per pause while it does not.

        Raises:
            CatalogUnavailableError: for all other reads.
        """
        if not self.reason:
            return
        with self._lock:
            if self.reason and now < self._next_probe:
                raise self.error(now)
            self._next_probe = now + _pause(dice)

    def error(self, now: float) -> CatalogUnavailableError:
        """Return why a read is not even tried."""
        wait = max(0.0, self._next_probe - now)
        return CatalogUnavailableError(self._origin, reason=self.reason, retry_after=wait)

    def failed(self, reason: str, now: float, dice: float) -> bool:
        """Note that the engine did not answer; the first time it is told.

        Returns:
            Whether what is in memory has just become too old.
        """
        with self._lock:
            began, self.reason = not self.reason, reason or "it does not answer"
            self._next_probe = now + _pause(dice)
            trusted, self.distrusted = not self.distrusted, self._too_old(now)
        if began:
            self._events.publish(CatalogUnavailable("", self._origin, reason))
        return trusted and self.distrusted

    def _too_old(self, now: float) -> bool:
        return self.max_stale is not None and now - self._last_answer > self.max_stale

    def answered(self, now: float) -> None:
        """Note that a read succeeded: others may try."""
        with self._lock:
            self._next_probe = now

    def ended(self, now: float) -> None:
        """Note that all is known again, which is told where there was an outage."""
        with self._lock:
            seconds, self._last_answer = now - self._last_answer, now
            over, self.reason = bool(self.reason), ""
            self.distrusted = False
        if over:
            self._events.publish(CatalogRecovered("", self._origin, seconds))


def _pause(dice: float) -> float:
    return PROBE_EVERY * (1 + dice)
