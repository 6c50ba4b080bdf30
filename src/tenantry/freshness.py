"""Is a secret fresh, stale or expired, and when may a source be asked again?

Pure: every function is told what time it is (seconds on a monotonic clock) and how the dice fell
(a number from 0 to 1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from tenantry.errors import Failure

TRANSIENT_BASE = 1.0
TRANSIENT_CAP = 60.0
TRANSIENT_CAP_UNUSABLE = 5.0
DENIED_DELAYS = (30.0, 60.0, 120.0, 300.0)
FORCED_BASE = 5.0
FORCED_CAP = 600.0
FARTHEST_AHEAD = 86_400.0  # seconds; what is announced from farther ahead is a slip
SHORTEST = 1.0  # seconds from one refresh to the next, where a secret lives that long


class Freshness(Enum):
    """FRESH is served; STALE is served while a refresh runs behind it; EXPIRED is not served."""

    FRESH = "fresh"
    STALE = "stale"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class RefreshPolicy:
    """How often secrets are fetched again; every field in seconds.

    `every` and `max_stale` are for secrets that do not say when they expire. `overlap` is how long
    a previous value is kept, `wait` how long a caller waits where no usable value is held.
    """

    every: float = 300.0
    max_stale: float = 86_400.0
    overlap: float = 3_600.0
    wait: float = 5.0
    drop_removed: bool = False

    def tightened(self, other: RefreshPolicy) -> RefreshPolicy:
        """Return the smaller of each limit: those who share a document share its limits."""
        return RefreshPolicy(
            every=min(self.every, other.every),
            max_stale=min(self.max_stale, other.max_stale),
            overlap=min(self.overlap, other.overlap),
            wait=min(self.wait, other.wait),
            drop_removed=self.drop_removed or other.drop_removed,
        )


@dataclass(frozen=True, slots=True)
class Limits:
    """The instants at which a secret becomes stale (`soft`) and unusable (`hard`)."""

    soft: float
    hard: float

    def freshness(self, now: float) -> Freshness:
        if now < self.soft:
            return Freshness.FRESH
        return Freshness.STALE if now < self.hard else Freshness.EXPIRED


def limits(
    got: float,
    policy: RefreshPolicy,
    dice: float,
    *,
    lifetime: float | None = None,
    refresh_in: float | None = None,
) -> Limits:
    """Place the limits of a secret that was got at `got`.

    Jitter keeps tenants that started together from refreshing together: up to a tenth of the life
    earlier for a secret that expires, a tenth of `every` to either side for one that does not.
    """
    if lifetime is None or math.isinf(lifetime):
        soft = got + policy.every * (0.9 + 0.2 * dice)
        return Limits(soft, soft + policy.max_stale)
    early = refresh_in if refresh_in is not None else lifetime * 2 / 3
    jitter = dice * min(lifetime / 10, early / 2)
    # Whatever a source wishes: what is stale on arrival would be fetched without end.
    soft = got + max(early - jitter, min(SHORTEST, lifetime / 2))
    return Limits(min(soft, got + lifetime), got + lifetime)


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often in a row a fetch failed, and the instant before which it is not tried again."""

    failures: int = 0
    until: float = -math.inf

    def allows(self, now: float) -> bool:
        return now >= self.until

    def after(
        self,
        failure: Failure,
        now: float,
        dice: float,
        *,
        usable: bool,
        retry_after: float | None = None,
        left: float = math.inf,
    ) -> Backoff:
        """Return the back-off after one more failure.

        Transient failures double from 1 s to 60 s, to 5 s where nothing usable is held, and to
        something between where what is held has few seconds `left`. Whoever is denied waits 30,
        60, 120, 300 s, because a store's lockout counts attempts.
        """
        delay = _delay(failure, self.failures, dice, left if usable else 0.0)
        if retry_after is not None and failure is Failure.TRANSIENT:
            delay = min(max(delay, retry_after), TRANSIENT_CAP)
        return Backoff(self.failures + 1, now + delay)


def _delay(failure: Failure, failures: int, dice: float, left: float) -> float:
    if failure is Failure.DENIED:
        return DENIED_DELAYS[min(failures, len(DENIED_DELAYS) - 1)]
    cap = min(TRANSIENT_CAP, max(TRANSIENT_CAP_UNUSABLE, left / 4))
    # The cap leaves room for the jitter: those who failed together must not stay together.
    delay: float = min(TRANSIENT_BASE * 2 ** min(failures, 10), cap / 1.5) * (1 + dice / 2)
    return delay


class Paces:
    """How often 401s may force a fetch, tenant by tenant.

    Each that brings nothing new makes the next one rarer: 5, 10, 20 s and so on to 10 minutes. So
    does each new value but the first, until the service accepts one: a source may always have one.
    """

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._unchanged: dict[str, int] = {}
        self._changed: dict[str, tuple[int, float]] = {}

    def allow(self, tenant: str, now: float) -> bool:
        return now >= self._until.get(tenant, -math.inf)

    def fetched_the_same(self, tenant: str, now: float) -> None:
        unchanged = self._unchanged.get(tenant, 0)
        self.hold(tenant, now + forced_delay(unchanged))
        self._unchanged[tenant] = unchanged + 1

    def fetched_another(self, tenant: str, now: float) -> None:
        """Note a new value; changes that are rare are not counted."""
        changes, last = self._changed.get(tenant, (0, -math.inf))
        changes = 0 if now - last > FORCED_CAP else changes
        self._until.clear()
        self._unchanged.clear()
        if changes:
            self.hold(tenant, now + forced_delay(changes - 1))
        self._changed[tenant] = changes + 1, now

    def hold(self, tenant: str, until: float) -> None:
        self._until[tenant] = until

    def reset(self) -> None:
        """Forget everything: a new value came, or the service accepted the one that is held."""
        self._until.clear()
        self._unchanged.clear()
        self._changed.clear()


class Ahead:
    """Instants that were announced and have not come yet: clocks of machines differ."""

    def __init__(self) -> None:
        self._moments: set[int] = set()

    def wait_for(self, instant: float, now: float) -> float | None:
        """Remember an instant; returns when to ask whether it has come, if that is news."""
        moment = math.ceil(instant)  # the same one, however often it is worked out
        if moment in self._moments or moment - now > FARTHEST_AHEAD:
            return None
        self._moments.add(moment)
        return moment

    def come(self, now: float) -> float | None:
        """Return the latest instant that has come, once."""
        come = {moment for moment in self._moments if moment <= now}
        self._moments -= come
        return max(come, default=None)


def forced_delay(unchanged: int) -> float:
    """Seconds until a 401 may force another fetch, after `unchanged` that brought nothing new."""
    delay: float = min(FORCED_BASE * 2 ** min(unchanged, 10), FORCED_CAP)
    return delay
