"""All open connection pools of one registry: idle ones are closed in time, and above a limit."""

from __future__ import annotations

import math
import resource
import threading
from typing import TYPE_CHECKING

from tenantry.clients.pools import clock
from tenantry.forks import survives_fork

if TYPE_CHECKING:
    from tenantry.clients.pools import OpenPool
    from tenantry.schedule import Schedule

SHORTEST_NAP = 0.5  # seconds between two sweeps
ALL_FILES = 500_000  # where the system sets no limit
SLACK = 0.9  # of the limit is what is left after a shrinking: the next one is not at once


class Sockets:
    """Closes what is idle; lives as long as the registry.

    An http library closes idle sockets at the next request of their pool, so those of a tenant that
    went quiet would stay for ever. How many are open is known from above: a pool has no more than
    it had users at once.

    Args:
        schedule: what calls `due` in time.
        limit: sockets at most; above it the longest idle are closed. None is half of the files
            that this process may open.
    """

    def __init__(self, schedule: Schedule, limit: int | None = None) -> None:
        self.limit = limit
        self._schedule = schedule
        self.after_fork()
        survives_fork(self)

    def after_fork(self) -> None:
        """Forget the parent's pools: closing their sockets would end its conversations."""
        # Guards what follows; a client that is collected in here may take it again.
        self._lock = threading.RLock()
        self._open: dict[OpenPool, int] = {}
        self._count = 0
        self._alarm = self.limit  # the count above which idle sockets are closed
        self._awake = False

    @property
    def limit(self) -> int:
        return self._limit

    @limit.setter
    def limit(self, said: int | None) -> None:
        self._limit = self._alarm = said or half_of_all_files()

    def __len__(self) -> int:
        """How many sockets are open at most."""
        return self._count

    def grown(self, pool: OpenPool) -> None:
        """Note that a pool opens more sockets; closes idle ones where these are too many."""
        with self._lock:
            self._measure(pool)
            too_many = self._count > self._alarm
            asleep, self._awake = not self._awake, True
        if too_many:
            self._shrink()
        if asleep:
            self._schedule.at(clock() + SHORTEST_NAP, self)

    def gone(self, pool: OpenPool) -> None:
        with self._lock:
            self._count -= self._open.pop(pool, 0)

    @property
    def crowded(self) -> bool:
        """Whether more are open than should be: those that fall idle are not kept."""
        return self._count > self._limit

    def due(self) -> None:
        """Close the pools that nobody used for as long as their sockets are kept."""
        now = clock()
        for pool in list(self._open):
            if pool.abandoned or (not pool.users and now >= pool.expires):
                pool.retire()
        with self._lock:
            nearest = min((pool.expires for pool in list(self._open)), default=math.inf)
            self._awake = nearest < math.inf
        if nearest < math.inf:
            self._schedule.at(max(now + SHORTEST_NAP, nearest), self)

    def _shrink(self) -> None:
        with self._lock:
            for pool in list(self._open):
                self._measure(pool)
        idle = (pool for pool in list(self._open) if not pool.users)
        for pool in sorted(idle, key=lambda pool: pool.left):
            if self._count <= self.limit * SLACK:
                break
            pool.retire()
        # Where all are busy, the next look is some sockets later, not at the very next one.
        self._alarm = max(self.limit, self._count + int(self.limit * (1 - SLACK)))

    def _measure(self, pool: OpenPool) -> None:
        size, before = pool.settle(), self._open.get(pool, 0)
        self._open[pool] = size
        self._count += size - before


def half_of_all_files() -> int:
    """Return half of the files that this process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return ALL_FILES if soft == resource.RLIM_INFINITY else soft // 2
