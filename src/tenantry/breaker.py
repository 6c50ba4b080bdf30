"""Is a source worth asking? After failures in a row, one probe at a time answers for all.

Pure but for its lock: it is told what time it is (seconds on a monotonic clock) and how the dice
fell (a number from 0 to 1).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tenantry.errors import Failure
from tenantry.forks import survives_fork

if TYPE_CHECKING:
    from tenantry.errors import SourceError

OPENS_AFTER = 3
PROBE_EVERY = 5.0  # seconds, and up to twice that


class Breaker:
    """Guards one source; lives as long as it. Closed at first.

    Three transient failures in a row open it. An open breaker lets one flight through every 5 to
    10 s, the probe; all others fail at once with the probe's error. A success closes it. A refusal
    (denied, absent) is an answer: the source is alive.
    """

    def __init__(self) -> None:
        self.error: SourceError | None = None
        self._failures = 0
        self._next_probe = 0.0
        self.after_fork()
        survives_fork(self)

    def after_fork(self) -> None:
        """Take a new lock: the thread that may have held the old one is gone."""
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        return self._failures >= OPENS_AFTER

    def check(self, now: float, dice: float) -> None:
        """Let a flight go: any while the breaker is closed, one probe per pause while it is open.

        Raises:
            SourceError: the last failure, for all other flights.
        """
        if self._failures < OPENS_AFTER:
            return
        with self._lock:
            if self._failures >= OPENS_AFTER and now < self._next_probe and self.error is not None:
                raise self.error
            self._next_probe = now + _pause(dice)

    def landed(self, error: SourceError | None, now: float, dice: float) -> None:
        """Note how a flight ended."""
        if error is None and not self._failures:
            return
        with self._lock:
            if error is None or error.failure is not Failure.TRANSIENT:
                self._failures, self.error = 0, None
                return
            self._failures += 1
            self.error = error
            if self._failures == OPENS_AFTER:
                self._next_probe = now + _pause(dice)


def _pause(dice: float) -> float:
    return PROBE_EVERY * (1 + dice)
