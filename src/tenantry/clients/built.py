"""The clients of all tenants that were built: shared, evicted, shut, and drained."""

from __future__ import annotations

import asyncio
import math
import threading
import time
import weakref
from typing import TYPE_CHECKING

from tenantry.clients.endpoint import EndpointClients, Key, key_of
from tenantry.events import ClientEvicted
from tenantry.forks import forget_gone, survives_fork
from tenantry.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tenantry.errors import TenantryError
    from tenantry.events import EventStream
    from tenantry.schedule import Schedule

clock = time.monotonic

MANY = 100  # that are evicted at once
SHORTEST_NAP = 0.5  # seconds between two looks for idle clients
DRAIN_PAUSE = 0.01  # seconds between two looks at what is in flight
SLACK = 0.02  # of the limit is evicted at once: the search for the longest idle is then rare


class BuiltClients:
    """What was built and is shared, and what was evicted and is still held by somebody.

    Eviction never harms who holds a client. Lives as long as the registry.

    Args:
        schedule: what calls `due` in time.
        evicted: is told what was evicted, and returns what goes with it.
        idle_after: seconds without a request after which clients are evicted; None is never.
        limit: endpoints with clients at most; above it the longest idle are evicted.
    """

    def __init__(
        self,
        events: EventStream,
        schedule: Schedule,
        *,
        evicted: Callable[[EndpointClients], Iterable[object]],
        idle_after: float | None,
        limit: int,
    ) -> None:
        self._evicted = evicted
        self.clock: Callable[[], float] = _now  # what idleness is told by
        self._idle_after = idle_after
        self.limit = limit
        self.pool: Pool[Key, EndpointClients] = Pool()
        self._endpoints: dict[str, dict[str, None]] = {}  # that were asked for, by tenant
        self._events = events
        self._schedule = schedule
        # Kept alive by the clients that somebody holds, and by who is just building one.
        self._superseded: list[weakref.ref[EndpointClients]] = []
        self.after_fork()
        survives_fork(self)

    def after_fork(self) -> None:
        """Take a new lock: the thread that may have held the old one is gone."""
        self._lock = threading.Lock()  # guards _superseded and _next
        self._next = math.inf  # the instant at which `due` is called, if anybody asked

    @property
    def idle_after(self) -> float | None:
        return self._idle_after

    @idle_after.setter
    def idle_after(self, seconds: float | None) -> None:
        if seconds != self._idle_after:
            self._idle_after = seconds
            self._wake()

    def get(
        self, tenant: str, endpoint: str | None, build: Callable[[], EndpointClients]
    ) -> EndpointClients:
        """Return what was built for a tenant's endpoint, building it where there is nothing."""
        if endpoint is not None:
            self._endpoints.setdefault(tenant, {})[endpoint] = None
        clients = self.pool.get(key_of(tenant, endpoint), build)
        if len(self.pool) > self.limit:
            self._evict_longest_idle(keep=clients)
        self._wake()
        return clients

    def of(self, tenant: str) -> list[EndpointClients]:
        """Return what the registry itself holds of a tenant."""
        endpoints = (None, *self._endpoints.get(tenant, {}).copy())
        found = (self.pool.built.get(key_of(tenant, endpoint)) for endpoint in endpoints)
        return [clients for clients in found if clients is not None]

    def superseded(self, tenant: str | None = None) -> list[EndpointClients]:
        """Return what was evicted and is still held by somebody, of one tenant or of all."""
        with self._lock:
            everyone = self._still_held()
        return [
            each
            for each in everyone
            if tenant in (None, each.tenant) and self.pool.built.get(each.key) is not each
        ]

    def _still_held(self) -> list[EndpointClients]:
        """Forget what nobody holds any more, and return the others."""
        found = (held() for held in self._superseded)
        once = {id(clients): clients for clients in found if clients is not None}
        self._superseded = [weakref.ref(clients) for clients in once.values()]
        return list(once.values())

    def all_of(self, tenant: str) -> list[EndpointClients]:
        return [*self.of(tenant), *self.superseded(tenant)]

    def built(self) -> list[EndpointClients]:
        """Return what the registry itself holds."""
        return list(self.pool.built.values())

    def __iter__(self) -> Iterator[EndpointClients]:
        """Everything that can still send a request."""
        return iter([*self.built(), *self.superseded()])

    # -- eviction ---------------------------------------------------------------------------------

    def evict(self, clients: EndpointClients, reason: str) -> list[object]:
        """Let go of clients and their idle connections; who holds one keeps a working one.

        Returns:
            What the registry held until now, and is free once nobody holds it.
        """
        with self._lock:
            # Before it leaves the pool: who looks here or there finds it.
            self._superseded.append(weakref.ref(clients))
        if self.pool.evict(clients.key, clients) is None:
            return []
        for kind in clients.built:
            event = ClientEvicted(clients.tenant, clients.endpoint, kind, reason)
            self._events.publish(event)
        held = clients.release()
        return [clients, *held, *self._evicted(clients)]

    def evict_tenant(self, tenant: str, reason: str) -> None:
        for clients in self.of(tenant):
            self.evict(clients, reason)

    def due(self) -> None:
        """Evict what was idle for long enough."""
        now = self.clock()
        with self._lock:
            if now < self._next < math.inf:
                return  # this call was asked for before a nearer one was, or by a parent process
            self._next = math.inf
        idle_after = self.idle_after  # which a reload may change
        if idle_after is None:
            return
        # Freed at once, at the end: what requests allocate in between would keep the memory.
        gone = [
            self.evict(clients, "idle")
            for clients in self.built()
            if now - clients.gate.last_use >= idle_after and not clients.in_flight()
        ]
        many = len(gone) > MANY
        del gone
        with self._lock:
            self._still_held()
        if many:
            forget_gone()
        self._wake()

    def _wake(self) -> None:
        """See to it that `due` is called when the first client may be idle."""
        if self.idle_after is None or not self.pool.built:
            return
        now = self.clock()
        if self._next <= now + self.idle_after:
            return  # nobody is idle sooner than those who were looked at
        oldest = min((each.gate.last_use for each in self.built()), default=now)
        when = max(now + SHORTEST_NAP, oldest + self.idle_after)
        with self._lock:
            if when >= self._next:
                return
            self._next = when
        self._schedule.at(when, self)

    def _evict_longest_idle(self, keep: EndpointClients) -> None:
        everyone = [each for each in self.built() if each is not keep]
        everyone.sort(key=lambda each: each.gate.last_use)
        for clients in everyone[: len(self.pool) - self.limit + int(self.limit * SLACK)]:
            self.evict(clients, "limit")

    # -- shutting ---------------------------------------------------------------------------------

    def shut(self, tenant: str, reason: Callable[[], TenantryError]) -> None:
        """Let no new request of a tenant through, on any client of it."""
        for clients in self.all_of(tenant):
            clients.shut(reason)

    def reopen(self, tenant: str) -> None:
        for clients in self.all_of(tenant):
            clients.reopen()

    def shut_all(self, reason: Callable[[], TenantryError]) -> list[EndpointClients]:
        """Let nothing through any more; returns all who can have open connections."""
        everyone = [*self.pool.clear(), *self.superseded()]
        for clients in everyone:
            clients.shut(reason)
        return everyone

    def in_flight(self) -> dict[str, int]:
        """Return how much of each tenant is in flight, where anything is."""
        found: dict[str, int] = {}
        for clients in self:
            if count := clients.in_flight():
                found[clients.tenant] = found.get(clients.tenant, 0) + count
        return found

    def drain(self, timeout: float) -> dict[str, int]:
        """Wait until nothing is in flight, `timeout` seconds at most; returns what still is."""
        deadline = clock() + timeout
        while (left := self.in_flight()) and clock() < deadline:
            time.sleep(DRAIN_PAUSE)
        return left

    async def adrain(self, limit: float) -> dict[str, int]:
        """Do what `drain` does, without holding up the event loop."""
        deadline = clock() + limit
        # What ends a request must not have to look for anybody to wake.
        while (left := self.in_flight()) and clock() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(DRAIN_PAUSE)
        return left


def _now() -> float:
    return clock()
