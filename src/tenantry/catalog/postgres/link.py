"""One connection that is opened on first use, and again when it turns out to be dead."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

import psycopg

from tenantry.catalog.engine import unprepared
from tenantry.catalog.postgres.connection import ORIGIN, Connection, log_in, none_instead
from tenantry.errors import CatalogUnavailableError, TenantryError
from tenantry.forks import survives_fork

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenantry.catalog.postgres.connection import Dsn, Instead

    Result = TypeVar("Result")


class Link:
    """A connection that threads take turns on; lasts as long as the engine, in every process.

    `dsn` is asked at every attempt to connect, so that a password may rotate, and `instead` for
    another one where that is refused.
    """

    def __init__(self, dsn: Dsn, instead: Instead = none_instead) -> None:
        self._dsn = dsn
        self._instead = instead
        self._of_parents: list[object] = []
        self._begin()
        survives_fork(self)

    def _begin(self) -> None:
        self._turn = threading.Lock()
        self._connection: Connection | None = None
        self._attempt: Future[Connection] | None = None
        self._closed = False

    def after_fork(self) -> None:
        # To close it here would end the parent's: it is kept, and never touched.
        self._of_parents += [self._connection, self._attempt]
        self._begin()

    def run(self, work: Callable[[Connection], Result], timeout: float) -> Result:
        """Return what `work` does with the connection, in so many seconds at most.

        It is done once more, at once, where the connection turns out to be dead: it must not have
        changed anything that lasts before it fails so.

        Raises:
            CatalogUnavailableError: the database is away.
            ConfigError: it has no tables of ours.
        """
        deadline = time.monotonic() + timeout
        if not self._turn.acquire(timeout=timeout):
            raise CatalogUnavailableError(ORIGIN, reason=_late(timeout))
        try:
            return self._worded(work, deadline)
        except TimeoutError:
            raise CatalogUnavailableError(ORIGIN, reason=_late(timeout)) from None
        finally:
            self._turn.release()

    def close(self) -> None:
        """Close the connection, once whoever has it is done."""
        with self._turn:
            self._closed = True
            self._drop()
            if self._attempt is not None:
                self._attempt.add_done_callback(_closed)
                self._attempt = None

    def _worded(self, work: Callable[[Connection], Result], deadline: float) -> Result:
        try:
            return self._tried(work, deadline)
        except psycopg.errors.UndefinedTable:
            raise unprepared(ORIGIN) from None
        except psycopg.Error as error:
            raise CatalogUnavailableError(ORIGIN, reason=" ".join(str(error).split())) from error

    def _tried(self, work: Callable[[Connection], Result], deadline: float) -> Result:
        if self._connection is not None:
            try:
                return self._once(work, self._connection, deadline)
            except psycopg.OperationalError:
                pass  # the server may have been restarted since
        return self._once(work, self._opened(deadline), deadline)

    def _once(
        self, work: Callable[[Connection], Result], connection: Connection, deadline: float
    ) -> Result:
        connection.deadline = deadline
        try:
            return work(connection)
        except BaseException:
            self._drop()  # what was left half done must not meet the next one's work
            raise

    def _opened(self, deadline: float) -> Connection:
        """Open a connection on a thread: looking a name up has no time limit of its own.

        An attempt outlives who waits for it, and the next one joins it.
        """
        if self._closed:
            raise CatalogUnavailableError(ORIGIN, reason="the catalog was closed")
        attempt = self._attempt
        if attempt is None or (attempt.done() and attempt.exception() is not None):
            attempt = self._attempt = self._attempted(deadline - time.monotonic())
        self._connection = attempt.result(max(0.0, deadline - time.monotonic()))
        self._attempt = None
        return self._connection

    def _attempted(self, seconds: float) -> Future[Connection]:
        attempt: Future[Connection] = Future()

        def run() -> None:
            try:
                attempt.set_result(log_in(self._dsn, self._instead, seconds))
            except TenantryError as error:
                attempt.set_exception(_away(error))
            except BaseException as error:  # noqa: BLE001  # raised where it is awaited
                attempt.set_exception(error)

        threading.Thread(target=run, name="tenantry-postgres-connect", daemon=True).start()
        return attempt

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _away(error: TenantryError) -> CatalogUnavailableError:
    if isinstance(error, CatalogUnavailableError):
        return error
    return CatalogUnavailableError(ORIGIN, reason=f"its dsn is not to be had: {error}")


def _closed(attempt: Future[Connection]) -> None:
    if attempt.exception() is None:
        attempt.result().close()


def _late(timeout: float) -> str:
    return f"no answer within {timeout:g} s"
