"""What goes wrong with the next requests, and for how long?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading

    from tenantry.testing.entra.exchange import RequestKind

UNAVAILABLE = 503


@dataclass(frozen=True, slots=True)
class Failure:
    """A reply given instead of the service's own; without `error` it is a gateway's page."""

    status: int
    retry_after: int | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """What befalls one request: seconds of delay, then the failure if there is one."""

    delay: float = 0.0
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class _Planned:
    """A fault for the next `times` requests of a kind; None is for ever, or every kind."""

    fault: Fault
    times: int | None
    kind: RequestKind | None

    def concerns(self, kind: RequestKind) -> bool:
        return self.kind in (None, kind) and self.times != 0

    def used(self) -> _Planned:
        return self if self.times is None else replace(self, times=self.times - 1)


class Faults:
    """The plan of one server: failures in the order they were asked for, slowness, an outage."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._failures: list[_Planned] = []
        self._slowness: _Planned | None = None
        self.outage = False

    def fail_next(self, failure: Failure, *, times: int, kind: RequestKind | None) -> None:
        with self._lock:
            self._failures.append(_Planned(Fault(failure=failure), times, kind))

    def slow(self, seconds: float, *, times: int | None, kind: RequestKind | None) -> None:
        with self._lock:
            self._slowness = _Planned(Fault(delay=seconds), times, kind)

    def next(self, kind: RequestKind) -> Fault:
        """Use up one request's share of the plan."""
        with self._lock:
            return Fault(self._next_delay(kind), self._next_failure(kind))

    def _next_delay(self, kind: RequestKind) -> float:
        slowness = self._slowness
        if slowness is None or not slowness.concerns(kind):
            return 0.0
        self._slowness = slowness.used()
        return slowness.fault.delay

    def _next_failure(self, kind: RequestKind) -> Failure | None:
        if self.outage:
            return Failure(UNAVAILABLE)
        for index, planned in enumerate(self._failures):
            if planned.concerns(kind):
                self._failures[index] = planned.used()
                return planned.fault.failure
        return None
