"""Frozen facts for hooks: what happened, named in the past tense.

Hooks run on one thread of their own, in the order in which things happened, never under a lock.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from tenantry.forks import survives_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tenantry.errors import Problem

log = logging.getLogger("tenantry")

QUEUE_LIMIT = 10_000
IDLE_LIMIT = 10.0


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a tenant; `tenant` is empty where it concerns all."""

    tenant: str


@dataclass(frozen=True, slots=True)
class SecretRefreshed(Event):
    """A source delivered, after `seconds`; `changed` says whether another value than before."""

    source: str
    version: str
    seconds: float
    changed: bool


@dataclass(frozen=True, slots=True)
class SecretRotated(Event):
    """A source delivered another value than before."""

    source: str
    version: str
    previous_version: str


@dataclass(frozen=True, slots=True)
class SecretRejected(Event):
    """The service refused a new value; its predecessor serves on, and the new one is tried again.

    `fell_back_to` is the version that serves.
    """

    source: str
    version: str
    fingerprint: str
    fell_back_to: str


@dataclass(frozen=True, slots=True)
class RefreshFailed(Event):
    """A source could not deliver; `usable` says whether a held secret still serves.

    `seconds` is how long that took to be known.
    """

    source: str
    reason: str
    failure: str
    retry_in: float
    usable: bool
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class CredentialPinned(Event):
    """An operator pinned a version of a credential: for `seconds` it serves, and nothing newer."""

    source: str
    version: str
    seconds: float


@dataclass(frozen=True, slots=True)
class CredentialUnpinned(Event):
    """A pin is over, and the newest value serves again.

    `reason` is `asked`, `expired`, `replaced` (by another pin) or `dropped` (nothing older may
    serve, or the secret was removed).
    """

    source: str
    version: str
    reason: str


@dataclass(frozen=True, slots=True)
class ClientBuilt(Event):
    """A tenant's SDK client came to be; `kind` is its class."""

    endpoint: str
    kind: str


@dataclass(frozen=True, slots=True)
class ClientEvicted(Event):
    """The registry let go of a tenant's client; whoever holds it can go on using it.

    `reason` is `asked`, `idle`, `limit`, `changed`, `disabled` or `removed`.
    """

    endpoint: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class RequestReplayed(Event):
    """A request was answered 401 and sent once more, with another secret."""

    source: str
    version: str
    previous_version: str


@dataclass(frozen=True, slots=True)
class RequestAnswered(Event):
    """A request was answered; told only to who subscribes with `requests=True`.

    It was sent with `version` of what `source` says, or had no credential where that is empty.
    `waited_for_credential` and `waited_for_connection` are seconds; the second is None where
    nobody knows. `replayed` says whether it was answered 401 before, with another secret.
    """

    endpoint: str
    status: int
    source: str
    version: str
    fingerprint: str
    waited_for_credential: float
    waited_for_connection: float | None
    replayed: bool


@dataclass(frozen=True, slots=True)
class TenantQuarantined(Event):
    """A tenant's own settings are wrong: it is not served until they are mended."""

    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class CatalogReloaded(Event):
    """Tenants changed; `rejected` are those whose new settings are wrong."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    rejected: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CatalogUnavailable(Event):
    """The engine that keeps the tenants does not answer: those that were read are served on."""

    origin: str
    reason: str


@dataclass(frozen=True, slots=True)
class CatalogRecovered(Event):
    """The engine answers again, after `seconds`, and what changed meanwhile was read."""

    origin: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ReloadRejected(Event):
    """A changed configuration cannot be used: everything stays as it was."""

    problems: tuple[Problem, ...]


Hook: TypeAlias = "Callable[[Event], None]"


class Lines(Protocol):
    """Writes events for people; is asked first whether anybody would see the line."""

    def wants(self, event: Event) -> bool: ...

    def write(self, event: Event) -> None: ...


class EventStream:
    """Delivers events to hooks on one thread that exists while there are events.

    `lost` counts events that were dropped: hooks were too slow, or the stream was closed. Safe
    across a fork: the child starts with an empty queue and its own thread.

    Args:
        lines: is sent what somebody would see, before any hook.
    """

    def __init__(self, lines: Lines | None = None) -> None:
        self._lines = lines
        self._hooks: tuple[Hook, ...] = ()
        self._hooks_of_requests: tuple[Hook, ...] = ()
        self.requests_wanted = False  # whether anybody wants to hear of every request
        self._before_requests: tuple[Callable[[str], None], ...] = ()
        self._broken: list[object] = []
        self.after_fork()
        survives_fork(self)

    def after_fork(self) -> None:
        """Start with an empty queue: the parent delivers what happened in the parent."""
        self._queue: deque[tuple[Event, tuple[Hook, ...]]] = deque()
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self.lost = 0

    def subscribe(
        self, hook: Hook, first: Iterable[Event] = (), *, requests: bool = False
    ) -> Callable[[], None]:
        """Send every event to `hook` from now on; returns what ends the subscription.

        What happened before, and still is so, comes `first`, and to this hook only. `requests` are
        sent to who says so.
        """
        with self._condition:
            self._hooks = (*self._hooks, hook)
            if requests:
                self._hooks_of_requests = (*self._hooks_of_requests, hook)
                self.requests_wanted = True
        for event in first:
            self._deliver_to((hook,), event)

        def unsubscribe() -> None:
            with self._condition:
                self._hooks = _without(hook, self._hooks)
                self._hooks_of_requests = _without(hook, self._hooks_of_requests)
                self.requests_wanted = bool(self._hooks_of_requests)

        return unsubscribe

    def before_requests(self, hook: Callable[[str], None]) -> Callable[[], None]:
        """Call `hook` with the tenant where each request begins, there and then."""
        with self._condition:
            self._before_requests = (*self._before_requests, hook)

        def end() -> None:
            with self._condition:
                others = (other for other in self._before_requests if other is not hook)
                self._before_requests = tuple(others)

        return end

    def begin_request(self, tenant: str) -> None:
        """Tell who wants to know that a request of a tenant begins."""
        for hook in self._before_requests:
            try:
                hook(tenant)
            except Exception as error:  # noqa: BLE001  # a hook that fails must fail no request
                self._note_broken(hook, "a request", error)

    def publish(self, event: Event) -> None:
        hooks = (
            self._hooks_of_requests
            if isinstance(event, RequestAnswered)
            else self._with_lines(event)
        )
        if hooks:
            self._deliver_to(hooks, event)

    def _with_lines(self, event: Event) -> tuple[Hook, ...]:
        lines = self._lines
        return (
            (lines.write, *self._hooks) if lines is not None and lines.wants(event) else self._hooks
        )

    def _deliver_to(self, hooks: tuple[Hook, ...], event: Event) -> None:
        with self._condition:
            if len(self._queue) >= QUEUE_LIMIT or self._closing:
                self.lost += 1
                return
            self._queue.append((event, hooks))
            if self._thread is None:
                self._thread = self._started()
            self._condition.notify()

    def close(self, timeout: float = 2.0) -> None:
        """Deliver what is queued, for at most `timeout` seconds, and end the thread."""
        with self._condition:
            self._closing = True
            self._condition.notify()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)

    def _started(self) -> threading.Thread | None:
        thread = threading.Thread(target=self._deliver, name="tenantry-events", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The process can have no more threads, or is ending: whoever publishes goes on.
            return None
        return thread

    def _deliver(self) -> None:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._queue or self._closing, IDLE_LIMIT)
                if not self._queue:
                    self._thread = None
                    return
                event, hooks = self._queue.popleft()
            for hook in hooks:
                if self._listens(hook):  # and did not unsubscribe meanwhile
                    self._call(hook, event)

    def _listens(self, hook: Hook) -> bool:
        return hook in self._hooks or (self._lines is not None and hook == self._lines.write)

    def _call(self, hook: Hook, event: Event) -> None:
        try:
            hook(event)
        except BaseException as error:  # noqa: BLE001  # nor may SystemExit end the others' events
            self._note_broken(hook, type(event).__name__, error)

    def _note_broken(self, hook: object, what: str, error: BaseException) -> None:
        # Once per hook: a broken hook must not fill the log of a busy service.
        if not any(hook is known for known in self._broken):
            self._broken.append(hook)
            log.error("tenantry: a hook failed on %s", what, exc_info=error)


def _without(hook: Hook, hooks: tuple[Hook, ...]) -> tuple[Hook, ...]:
    return tuple(other for other in hooks if other is not hook)
