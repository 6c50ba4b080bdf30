"""Where fetches run: a few threads per lane, made on demand, gone when idle, new after a fork.

A lane is a source. Lanes do not wait for each other, so a store that hangs cannot hold up another.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import TYPE_CHECKING

from tenantry.forks import survives_fork
from tenantry.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("tenantry")

THREADS_PER_LANE = 8
IDLE_LIMIT = 10.0


class Refresher:
    """Runs jobs on daemon threads; a job is a function that handles its own failure.

    Threads are daemons, so a store that hangs does not keep a process from ending. `schedule` is
    what refreshes ahead of need.
    """

    def __init__(
        self,
        *,
        threads_per_lane: int = THREADS_PER_LANE,
        idle_limit: float = IDLE_LIMIT,
        schedule: Schedule | None = None,
    ) -> None:
        self._threads_per_lane = threads_per_lane
        self._idle_limit = idle_limit
        self.schedule = Schedule() if schedule is None else schedule
        self.after_fork()
        survives_fork(self)

    def after_fork(self) -> None:
        """Start with no lanes: in a forked child, the parent's threads do not exist."""
        self._lock = threading.Lock()  # guards _lanes
        self._lanes: dict[str, _Lane] = {}

    def submit(self, lane: str, job: Callable[[], None]) -> None:
        """Run `job` on a thread of `lane` as soon as one is free; never blocks.

        Raises:
            RuntimeError: the process can have no more threads, or is ending.
        """
        with self._lock:
            if lane not in self._lanes:
                self._lanes[lane] = _Lane(lane, self._threads_per_lane, self._idle_limit)
            chosen = self._lanes[lane]
        chosen.submit(job)

    def close(self) -> None:
        """Let threads end once they are idle; jobs that wait are dropped."""
        self.schedule.close()
        with self._lock:
            lanes = list(self._lanes.values())
            self._lanes.clear()
        for lane in lanes:
            lane.close()


class _Lane:
    def __init__(self, name: str, limit: int, idle_limit: float) -> None:
        self._name = name
        self._limit = limit
        self._idle_limit = idle_limit
        self._ready = threading.Condition()  # guards all below
        self._jobs: deque[Callable[[], None]] = deque()
        self._threads = 0
        self._idle = 0
        self._closed = False

    def submit(self, job: Callable[[], None]) -> None:
        with self._ready:
            self._jobs.append(job)
            if self._idle >= len(self._jobs) or self._threads >= self._limit:
                self._ready.notify()
                return
            self._threads += 1
        try:
            threading.Thread(target=self._run, name=f"tenantry-{self._name}", daemon=True).start()
        except RuntimeError:
            if self._taken_back(job):
                raise

    def _taken_back(self, job: Callable[[], None]) -> bool:
        """Withdraw a job that got no thread, unless another thread of the lane can see to it."""
        with self._ready:
            self._threads -= 1
            if self._threads or job not in self._jobs:
                return False
            self._jobs.remove(job)
            return True

    def close(self) -> None:
        with self._ready:
            self._closed = True
            self._jobs.clear()
            self._ready.notify_all()

    def _run(self) -> None:
        while True:
            job = self._next()
            if job is None:
                return
            try:
                job()
            except BaseException as error:  # noqa: BLE001  # a thread lost would be a slot lost
                log.warning("tenantry: a job of %s failed: %s", self._name, type(error).__name__)
            del job  # whoever waits for the next one must not keep alive what this one used

    def _next(self) -> Callable[[], None] | None:
        with self._ready:
            self._idle += 1
            self._ready.wait_for(lambda: self._jobs or self._closed, timeout=self._idle_limit)
            self._idle -= 1
            if self._jobs:
                return self._jobs.popleft()
            self._threads -= 1
            return None
