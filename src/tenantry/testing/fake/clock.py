"""Time that stands still until a test lets it pass, and fetches that are over when it does."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tenantry.refresher import Refresher
from tenantry.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable

SETTLE_LIMIT = 10.0  # seconds; fetches from memory take none


class FrozenClock:
    """Seconds that pass only where somebody says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class FrozenSchedule(Schedule):
    """A schedule without a thread: what is due is called by who lets time pass, before it goes on.

    A thread would call it at the same time, and nobody could say when it was done.
    """

    def _start(self) -> None:
        """Start nothing."""


class SettlingRefresher(Refresher):
    """A refresher that can be waited for."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__(schedule=schedule)
        self._idle = threading.Condition()  # guards _jobs
        self._jobs = 0

    def submit(self, lane: str, job: Callable[[], None]) -> None:
        with self._idle:
            self._jobs += 1
        super().submit(lane, lambda: self._run(job))

    def settle(self) -> None:
        """Wait until nothing is being fetched."""
        with self._idle:
            self._idle.wait_for(lambda: not self._jobs, SETTLE_LIMIT)

    def _run(self, job: Callable[[], None]) -> None:
        try:
            job()
        finally:
            with self._idle:
                self._jobs -= 1
                self._idle.notify_all()
