"""Refreshing ahead of need: one heap of what is due, and one thread while it holds anything."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
import weakref
from typing import TYPE_CHECKING, Protocol

from tenantry.forks import once_all_began_anew, survives_fork

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("tenantry")

LONGEST_NAP = 60.0  # seconds; a machine that slept through the night looks again


class Refreshable(Protocol):
    """Something that refreshes itself when its time has come."""

    def due(self) -> None: ...


class Schedule:
    """Calls `due()` of things at the instants that were asked for; forgets what nobody holds.

    Times are seconds on `clock`. A thing may be asked for again: only the earliest call counts
    twice, which is harmless, because who is not due does nothing.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._heap: list[tuple[float, int, weakref.ref[Refreshable]]] = []
        self._numbers = itertools.count()
        self._closed = False
        self.after_fork()
        survives_fork(self)

    def after_fork(self) -> None:
        """Keep what is due, and start a thread of this process's own for it."""
        self._changed = threading.Condition()  # guards all
        self._thread: threading.Thread | None = None
        if self._heap:
            once_all_began_anew(self._start)

    def at(self, when: float, thing: Refreshable) -> None:
        """Call `thing.due()` at `when`; never blocks."""
        with self._changed:
            if self._closed:
                return
            heapq.heappush(self._heap, (when, next(self._numbers), weakref.ref(thing)))
            if self._thread is None:
                self._start()
            elif self._heap[0][0] == when:
                self._changed.notify()

    def close(self) -> None:
        """End the thread; nothing is called afterwards."""
        with self._changed:
            self._closed = True
            self._heap.clear()
            self._changed.notify()

    def _start(self) -> None:
        if self._thread is not None:
            return
        self._thread = threading.Thread(target=self._run, name="tenantry-schedule", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no more threads: reading what is stale refreshes it too
            self._thread = None

    def run_due(self) -> float | None:
        """Call what is due now; return the seconds until the next, or None where there is none."""
        while True:
            with self._changed:
                if not self._heap:
                    return None
                when, _, reference = self._heap[0]
                if when > (now := self.clock()):
                    return when - now
                heapq.heappop(self._heap)
            thing = reference()
            if thing is not None:
                _call(thing)

    def _run(self) -> None:
        while True:
            self.run_due()
            with self._changed:
                if not self._heap:
                    self._thread = None
                    return
                # Read again under the lock: somebody may have asked for a nearer instant meanwhile.
                pause = self._heap[0][0] - self.clock()
                if pause > 0:
                    self._changed.wait(min(pause, LONGEST_NAP))


def _call(thing: Refreshable) -> None:
    try:
        thing.due()
    except Exception:
        # One that fails must not end the refreshing of all others.
        log.exception("tenantry: a scheduled refresh failed")
