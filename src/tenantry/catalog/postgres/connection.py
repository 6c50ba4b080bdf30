"""A connection to PostgreSQL on which no wait is longer than it may be."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tenantry.errors import CatalogUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from psycopg.abc import PQGen

    Driven = TypeVar("Driven")
    Dsn = Callable[[], str]
    Instead = Callable[[str], str | None]  # another DSN than the one whose password was refused

ORIGIN = "postgres"
SHORTEST_CONNECT = 2  # seconds; libpq takes less for this
# What a DSN that does not say otherwise gets: the kernel gives up on a peer that acknowledges
# nothing, too. PgBouncer takes all of them, for none but the last leaves this machine.
UNLESS_SAID = {
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
    "application_name": "tenantry",
}


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that gives up at `deadline`, on the monotonic clock; nobody may use it then.

    psycopg has no time limit for an answer, and a server that is frozen, or behind a network that
    drops packets, never says that it is gone.
    """

    deadline = math.inf

    def wait(
        self, gen: PQGen[Driven], interval: float = 0.1, timeout: float | None = None
    ) -> Driven:
        if timeout is not None:
            return super().wait(gen, interval, timeout)  # psycopg's own, while it listens
        step = min(interval, max(0.001, self.deadline - time.monotonic()))
        return super().wait(_until(self.deadline, gen), step)


def _until(deadline: float, gen: PQGen[Driven]) -> Generator[Any, Any, Driven]:
    """Hand everything on, to the deadline; psycopg comes by after every step."""
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() >= deadline:
                gen.close()
                raise TimeoutError
            wanted = gen.send(ready)
    except StopIteration as end:
        result: Driven = end.value
        return result


class LoginRefusedError(CatalogUnavailableError):
    """The server was reached, and did not let us in with the password that we have."""


def none_instead(_: str) -> None:
    """Know no other DSN than the one that was refused."""


def log_in(dsn: Dsn, instead: Instead, seconds: float) -> Connection:
    """Open a connection; where its password is refused, once more with a newer one, if there is.

    Raises:
        CatalogUnavailableError: it could not be opened.
    """
    said = dsn()
    try:
        return connect(said, seconds)
    except LoginRefusedError:
        other = instead(said)
        if other is None:
            raise
    return connect(other, seconds)


def connect(dsn: str, seconds: float) -> Connection:
    """Open a connection that needs no state of a session, so that PgBouncer may stand between.

    Raises:
        LoginRefusedError: the password is wrong, or misses.
        CatalogUnavailableError: it could not be opened.
    """
    said = _parsed(dsn)
    limit = str(max(SHORTEST_CONNECT, math.ceil(seconds)))
    try:
        return Connection.connect(
            make_conninfo(**{**UNLESS_SAID, "connect_timeout": limit, **said}),
            autocommit=True,
            prepare_threshold=None,
        )
    except psycopg.Error as error:
        reason = _without(str(error), said.get("password"), said.get("sslpassword"))
        asked = error.pgconn is not None and _was_asked_for_password(error.pgconn)
    raise (LoginRefusedError if asked else CatalogUnavailableError)(ORIGIN, reason=reason)


def _was_asked_for_password(attempt: Any) -> bool:
    # libpq gives no code for why a login failed, and the server words it in its own language.
    return bool(attempt.used_password or attempt.needs_password)


def _parsed(dsn: str) -> dict[str, Any]:
    try:
        return conninfo_to_dict(dsn)
    except psycopg.Error:
        reason = "its dsn cannot be read (not shown: it may hold a password)"
    # Raised out here: what psycopg says of a DSN quotes it.
    raise CatalogUnavailableError(ORIGIN, reason=reason)


def _without(text: str, *secrets: Any) -> str:
    for secret in secrets:
        text = text.replace(str(secret), "***") if secret else text
    return " ".join(text.split())
