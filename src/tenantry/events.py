"""Frozen facts for hooks: what happened, named in the past tense.

Hooks run on one thread of their own, in the order in which things happened, never under a lock.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

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
    """A source could not deliver; `usable` says whether a held secret still serves."""

    source: str
    reason: str
    failure: str
    retry_in: float
    usable: bool


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
class ReloadRejected(Event):
    """A changed configuration cannot be used: everything stays as it was."""

    problems: tuple[Problem, ...]


Hook: TypeAlias = "Callable[[Event], None]"


class EventStream:
    """Delivers events to hooks on one thread that exists while there are events.

    `lost` counts events that were dropped: hooks were too slow, or the stream was closed. Safe
    across a fork: the child starts with an empty queue and its own thread.
    """

    def __init__(self) -> None:
        self._hooks: tuple[Hook, ...] = ()
        self._broken: list[Hook] = []
        self.after_fork()
        survives_fork(self)

    def after_fork(self) -> None:
        """Start with an empty queue: the parent delivers what happened in the parent."""
        self._queue: deque[tuple[Event, tuple[Hook, ...]]] = deque()
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self.lost = 0

    @property
    def wanted(self) -> bool:
        """Whether anybody listens; ask before building an event on a hot path."""
        return bool(self._hooks)

    def subscribe(self, hook: Hook, first: Iterable[Event] = ()) -> Callable[[], None]:
        """Send every event to `hook` from now on; returns what ends the subscription.

        What happened before, and still is so, comes `first`, and to this hook only.
        """
        with self._condition:
            self._hooks = (*self._hooks, hook)
        for event in first:
            self._deliver_to((hook,), event)

        def unsubscribe() -> None:
            with self._condition:
                self._hooks = tuple(other for other in self._hooks if other is not hook)

        return unsubscribe

    def publish(self, event: Event) -> None:
        if self._hooks:
            self._deliver_to(self._hooks, event)

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
                if hook in self._hooks:  # and did not unsubscribe meanwhile
                    self._call(hook, event)

    def _call(self, hook: Hook, event: Event) -> None:
        try:
            hook(event)
        except BaseException:  # not even SystemExit may end the others' events
            # Once per hook: a broken hook must not fill the log of a busy service.
            if not any(hook is known for known in self._broken):
                self._broken.append(hook)
                log.exception("tenantry: a hook failed on %s", type(event).__name__)
