"""A connection on which PostgreSQL calls at every change, and a probe that tells if it does."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from typing import TYPE_CHECKING

import psycopg

from tenantry.catalog.postgres import tables
from tenantry.catalog.postgres.connection import log_in, none_instead
from tenantry.errors import TenantryError
from tenantry.forks import once_all_began_anew, survives_fork

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenantry.catalog.postgres.connection import Connection, Dsn, Instead

log = logging.getLogger("tenantry")

PROBE_EVERY = 30.0  # seconds
ANSWER = 5.0  # seconds that a connection, or a statement, may take
PATIENCE = 2 * ANSWER  # seconds from a probe until it is lost
TICK = 0.5  # seconds until a listener that is closed ends
LONGEST_PAUSE = 60.0


class Pulse:
    """Does a call still arrive? Pure: whoever asks says what time it is, in seconds.

    A probe is due at once, and again so long after the last; one that is not heard within
    `patience` says that nobody is on the line.
    """

    def __init__(self, every: float, patience: float = PATIENCE) -> None:
        self._every = every
        self._patience = patience
        self._sent: float | None = None
        self._waiting = False

    def due(self, now: float) -> bool:
        return not self._waiting and (self._sent is None or now - self._sent >= self._every)

    def sent(self, now: float) -> None:
        self._sent = now
        self._waiting = True

    def heard(self) -> None:
        self._waiting = False

    def lost(self, now: float) -> bool:
        return self._waiting and self._sent is not None and now - self._sent > self._patience


class PostgresListener:
    """Listens on a thread until it is closed, and in forked children on one of their own.

    Behind PgBouncer, and on a connection that was cut silently, LISTEN succeeds and nothing ever
    arrives. Only a call from *another* connection can tell, so one is made every so often, on a
    channel that nobody else listens to.

    Args:
        dsn: asked at every attempt to connect.
        instead: asked for another one where that is refused.
        call: notifies a channel on another connection, in so many seconds.
        woken: called on the thread at every change, and whenever changes may have been missed.
        every: seconds between two probes.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        dsn: Dsn,
        call: Callable[[str, float], None],
        woken: Callable[[], None],
        *,
        instead: Instead = none_instead,
        every: float = PROBE_EVERY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._dsn = dsn
        self._instead = instead
        self._call = call
        self._woken = woken
        self._every = every
        self._clock = clock
        self._begin()
        survives_fork(self)
        self._start()

    @property
    def alive(self) -> bool:
        """Whether the last probe arrived; where it did not, only polling sees changes."""
        return self._alive

    def after_fork(self) -> None:
        if not self._stop.is_set():
            self._begin()
            once_all_began_anew(self._start)

    def stop(self) -> None:
        self._stop.set()

    def close(self) -> None:
        """End the thread; returns once `woken` will not be called again."""
        self.stop()
        if self._thread is not threading.current_thread():
            self._thread.join(2 * ANSWER)

    def _begin(self) -> None:
        self._stop = threading.Event()
        self._alive = False
        self._told = False
        self._failures = 0

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="tenantry-listener", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._listen()
            except (psycopg.Error, TimeoutError, TenantryError) as error:
                self._fell_silent(str(error) or "no answer")
            except Exception:
                log.exception("tenantry: listening for changes failed")
                self._fell_silent("see the log")
            self._stop.wait(self._pause())

    def _listen(self) -> None:
        connection = log_in(self._dsn, self._instead, ANSWER)
        channel = f"{tables.CHANNEL}_{secrets.token_hex(8)}"
        try:
            connection.deadline = time.monotonic() + ANSWER
            for each in (tables.CHANNEL, channel):
                connection.execute(f"LISTEN {each}".encode())
            connection.deadline = float("inf")
            self._woken()  # for what changed while nobody listened
            self._stay(connection, channel)
        finally:
            connection.close()

    def _stay(self, connection: Connection, channel: str) -> None:
        pulse = Pulse(self._every)
        while not self._stop.is_set():
            now = self._clock()
            if pulse.due(now):
                self._call(channel, ANSWER)
                pulse.sent(now)
            if pulse.lost(self._clock()):
                raise TimeoutError("a call from another connection does not arrive")
            heard = {notice.channel for notice in connection.notifies(timeout=TICK, stop_after=1)}
            if channel in heard:
                pulse.heard()
                self._heard()
            if tables.CHANNEL in heard:
                self._woken()

    def _heard(self) -> None:
        self._alive, self._told, self._failures = True, False, 0

    def _fell_silent(self, reason: str) -> None:
        self._alive = False
        self._failures += 1
        if not self._told:
            self._told = True
            log.warning(
                "tenantry: PostgreSQL does not call: %s; changes are found by polling", reason
            )

    def _pause(self) -> float:
        return min(LONGEST_PAUSE, 2.0**self._failures / 2) if self._failures else 0.0
