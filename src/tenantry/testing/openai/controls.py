"""How the server misbehaves on request: failures, redirects, slowness and broken streams."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import threading

Effect = TypeVar("Effect")


@dataclass(frozen=True, slots=True)
class Interruption:
    """An answer that replaces the real one; `retry_after` is in seconds."""

    status: int
    retry_after: float | None = None
    location: str | None = None


@dataclass(frozen=True, slots=True)
class Orders:
    """What happens to one request: a delay in seconds, then perhaps an interruption."""

    delay: float = 0.0
    interruption: Interruption | None = None


@dataclass(frozen=True, slots=True)
class StreamOrders:
    """What happens to one stream: seconds before each event, and events before the cut."""

    pace: float = 0.0
    cut_after: int | None = None


UNDISTURBED = Orders()


@dataclass(slots=True)
class _Rule(Generic[Effect]):
    effect: Effect
    times: int | None = None
    key: str | None = field(default=None, repr=False)
    path: str = ""

    def fits(self, key: str | None, path: str) -> bool:
        return path.endswith(self.path) and self.key in (None, key)


class _Rules(Generic[Effect]):
    """Rules of one kind, oldest first; a rule is used up after its times."""

    def __init__(self) -> None:
        self._rules: list[_Rule[Effect]] = []

    def __bool__(self) -> bool:
        return bool(self._rules)

    def add(self, rule: _Rule[Effect]) -> None:
        if rule.times is None or rule.times > 0:
            self._rules.append(rule)

    def clear(self) -> None:
        self._rules.clear()

    def take(self, key: str | None = None, path: str = "") -> Effect | None:
        rule = next((rule for rule in self._rules if rule.fits(key, path)), None)
        if rule is None:
            return None
        if rule.times is not None:
            rule.times -= 1
            if rule.times == 0:
                self._rules.remove(rule)
        return rule.effect


class Controls:
    """The orders of one server's tests, taken by requests as they arrive."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._interruptions: _Rules[Interruption] = _Rules()
        self._delays: _Rules[float] = _Rules()
        self._cuts: _Rules[int] = _Rules()
        self._pace = 0.0

    def interrupt(
        self, interruption: Interruption, *, times: int | None, key: str | None, path: str | None
    ) -> None:
        with self._lock:
            self._interruptions.add(_Rule(interruption, times, key, path or ""))

    def slow(self, seconds: float, *, times: int | None) -> None:
        with self._lock:
            self._delays.clear()
            if seconds > 0:
                self._delays.add(_Rule(seconds, times))

    def cut(self, after_events: int, *, times: int | None) -> None:
        with self._lock:
            self._cuts.clear()
            self._cuts.add(_Rule(after_events, times))

    def pace(self, seconds: float) -> None:
        with self._lock:
            self._pace = seconds

    def reset(self) -> None:
        with self._lock:
            self._interruptions.clear()
            self._delays.clear()
            self._cuts.clear()
            self._pace = 0.0

    def take(self, key: str | None, path: str) -> Orders:
        """Return the orders for a request that just arrived, and use them up."""
        with self._lock:
            if not self._interruptions and not self._delays:
                return UNDISTURBED
            delay = self._delays.take() or 0.0
            return Orders(delay, self._interruptions.take(key, path))

    def take_for_stream(self) -> StreamOrders:
        """Return the orders for a stream that is about to start, and use them up."""
        with self._lock:
            return StreamOrders(self._pace, self._cuts.take())
