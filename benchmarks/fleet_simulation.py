"""What do Vault and Entra have to answer for a whole fleet, by how its workers keep credentials?

A few workers are simulated request by request, on a clock of their own, and stand for all: workers
share nothing but the stores. When a credential is fetched again is decided by `tenantry.freshness`
itself. The same seed gives the same table.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import random
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from benchmarks.report import aligned

from tenantry.freshness import RefreshPolicy, limits

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKERS, TENANTS = 500, 10_000
RATE = 5_000.0  # requests a second of the whole fleet
HOURS = 2.0
ROLLOUT = 120.0  # seconds within which all workers start
ON_ENTRA = 10  # one tenant in so many has its key from Entra, the others from Vault
ENTRA_LIFE, SESSION = 4_500.0, 3_600.0  # seconds that a token and a Vault session live
TTL = 300.0
ROTATIONS = 10_000 / (30 * 86_400)  # a second: each tenant's key once in 30 days
BUCKET = 10  # seconds over which a peak is taken
# The last is what requests notice: that they have to wait for one of the others.
OPERATIONS = ("read", "login", "renewal", "token", "wait")


@dataclass(slots=True)
class Load:
    """What the stores were asked: how often in each bucket of time."""

    asked: dict[str, Counter[int]] = field(
        default_factory=lambda: {operation: Counter() for operation in OPERATIONS}
    )

    def note(self, operation: str, at: float) -> None:
        self.asked[operation][int(at) // BUCKET] += 1

    def rates(self, operation: str, scale: float, seconds: float) -> tuple[float, float]:
        """Return requests a second of the whole fleet, at the peak and in the second half."""
        buckets = self.asked[operation]
        half = int(seconds / 2) // BUCKET
        late = sum(count for bucket, count in buckets.items() if bucket >= half)
        peak = max(buckets.values(), default=0) / BUCKET
        return peak * scale, late / (seconds / 2) * scale


class PerRequest:
    """Every request logs in and fetches: nothing is kept."""

    name: ClassVar[str] = "naive, per request"

    def __init__(self, load: Load, dice: random.Random) -> None:
        self.load, self.dice = load, dice

    def use(self, tenant: int, now: float) -> None:
        self.load.note("wait", now)
        if is_on_entra(tenant):
            self.load.note("token", now)
        else:
            self.load.note("login", now)
            self.load.note("read", now)

    def pass_to(self, now: float) -> None:
        """Do what is due by an instant."""

    def announce(self, tenant: int, now: float) -> None:
        """Hear of a rotation."""


class Ttl(PerRequest):
    """A cache with a time to live, and a session that is opened anew when it ran out."""

    name = "TTL cache, 5 min"

    def __init__(self, load: Load, dice: random.Random) -> None:
        super().__init__(load, dice)
        self._until: dict[int, float] = {}
        self._session = 0.0

    def use(self, tenant: int, now: float) -> None:
        if now < self._until.get(tenant, 0.0):
            return
        self.load.note("wait", now)
        if is_on_entra(tenant):
            self.load.note("token", now)
        else:
            self._log_in(now)
            self.load.note("read", now)
        self._until[tenant] = now + TTL

    def _log_in(self, now: float) -> None:
        if now >= self._session:
            self.load.note("login", now)
            self._session = now + SESSION


class Ours(PerRequest):
    """What a registry does: what was used since it came is fetched again ahead of need."""

    name = "tenantry"
    policy: ClassVar[RefreshPolicy] = RefreshPolicy()
    hears: ClassVar[bool] = False

    def __init__(self, load: Load, dice: random.Random) -> None:
        super().__init__(load, dice)
        self._soft: dict[int, float] = {}  # when each becomes stale
        self._used: set[int] = set()  # since they came
        self._due: list[tuple[float, int]] = []  # a heap
        self._renewal: float | None = None

    def use(self, tenant: int, now: float) -> None:
        self.pass_to(now)
        if tenant not in self._soft:
            self.load.note("wait", now)
        if now >= self._soft.get(tenant, 0.0):
            self._fetch(tenant, now)  # behind the request, but for the first
        else:
            self._used.add(tenant)

    def pass_to(self, now: float) -> None:
        while self._renewal is not None and self._renewal <= now:
            self.load.note("renewal", self._renewal)
            self._renewal = self._after(self._renewal, SESSION)
        while self._due and self._due[0][0] <= now:
            at, tenant = heapq.heappop(self._due)
            if self._soft[tenant] == at and tenant in self._used:  # else it was fetched since
                self._fetch(tenant, at)

    def announce(self, tenant: int, now: float) -> None:
        if self.hears and tenant in self._soft and not is_on_entra(tenant):
            self._fetch(tenant, now)

    def _fetch(self, tenant: int, now: float) -> None:
        lifetime = ENTRA_LIFE if is_on_entra(tenant) else None
        if lifetime is None:
            self._log_in(now)
        self.load.note("read" if lifetime is None else "token", now)
        self._soft[tenant] = soft = self._after(now, lifetime)
        self._used.discard(tenant)
        heapq.heappush(self._due, (soft, tenant))

    def _log_in(self, now: float) -> None:
        if self._renewal is None:
            self.load.note("login", now)
            self._renewal = self._after(now, SESSION)

    def _after(self, now: float, lifetime: float | None) -> float:
        return limits(now, self.policy, self.dice.random(), lifetime=lifetime).soft


class Pushed(Ours):
    """The same where rotations are announced, so that looking for them may be rare."""

    name = "tenantry, announced, every 1 h"
    policy = RefreshPolicy(every=3_600.0)
    hears = True


KEEPERS = (PerRequest, Ttl, Ours, Pushed)


def is_on_entra(tenant: int) -> bool:
    return tenant % ON_ENTRA == 0


def arrivals(rate: float, start: float, end: float, dice: random.Random) -> Iterator[float]:
    """Return instants of which each is as likely as any other."""
    now = start
    while (now := now + dice.expovariate(rate)) < end:
        yield now


def simulate(kind: type[PerRequest], workers: int, seconds: float, seed: int) -> Load:
    """Run a few workers of the fleet, each on its own; tenants are as popular as Zipf says."""
    load = Load()
    popularity = list(itertools.accumulate(1 / rank for rank in range(1, TENANTS + 1)))
    rotated = random.Random(seed)
    news = [(at, rotated.randrange(TENANTS)) for at in arrivals(ROTATIONS, 0, seconds, rotated)]
    for number in range(workers):
        dice = random.Random(f"{seed} {number}")
        keeper = kind(load, dice)
        start = ROLLOUT * number / workers
        pending = iter([*news, (float("inf"), 0)])
        at, tenant = next(pending)
        for now in arrivals(RATE / WORKERS, start, seconds, dice):
            while at <= now:
                keeper.pass_to(at)
                keeper.announce(tenant, at)
                at, tenant = next(pending)
            keeper.use(bisect_left(popularity, dice.random() * popularity[-1]), now)
        keeper.pass_to(seconds)
    return load


def table(workers: int, seconds: float, seed: int) -> list[tuple[str, ...]]:
    """Return a row for each way of keeping credentials: peak and mean of each operation."""
    rows: list[tuple[str, ...]] = [("a second", *(f"{each}s, peak / mean" for each in OPERATIONS))]
    for kind in KEEPERS:
        load = simulate(kind, workers, seconds, seed)
        rates = (load.rates(each, WORKERS / workers, seconds) for each in OPERATIONS)
        rows.append((kind.name, *(f"{peak:,.1f} / {mean:,.2f}" for peak, mean in rates)))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=20, help="how many stand for all")
    parser.add_argument("--seed", type=int, default=1)
    said = parser.parse_args()
    print(f"{WORKERS} workers, {TENANTS:,} tenants, {RATE:,.0f} requests a second")
    print(aligned(table(said.workers, HOURS * 3600, said.seed)), end="")


if __name__ == "__main__":
    main()
