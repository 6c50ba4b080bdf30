from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from tenantry.catalog.postgres.link import Link
from tenantry.errors import CatalogUnavailableError, ConfigError, SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenantry.catalog.postgres.connection import Connection
    from tenantry.testing.postgres import PostgresServer

T = 10.0


@pytest.fixture
def link(postgres_server: PostgresServer) -> Iterator[Link]:
    link = Link(lambda: postgres_server.dsn)
    yield link
    link.close()


def backend(connection: Connection) -> Any:
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    return None if row is None else row[0]


def test_a_connection_is_kept(link: Link) -> None:
    """What worked is used again."""
    assert link.run(backend, T) == link.run(backend, T)


def test_after_a_failure_it_begins_anew(link: Link) -> None:
    """What failed half-way leaves nothing behind for the next: it has a connection of its own."""

    def fail(connection: Connection) -> None:
        connection.execute("BEGIN")
        connection.execute("nonsense")

    before = link.run(backend, T)
    with pytest.raises(CatalogUnavailableError, match="syntax error"):
        link.run(fail, T)
    assert before != link.run(backend, T)


def test_a_missing_table_asks_to_be_made(link: Link) -> None:
    """Tables that are not there are a matter of `catalog init`."""
    with pytest.raises(ConfigError, match="tenantry catalog init"):
        link.run(lambda connection: connection.execute("SELECT 1 FROM nobodys"), T)


@pytest.mark.parametrize("how", ["crash", "shut_down"])
def test_a_restarted_server_is_not_noticed(
    link: Link, postgres_server: PostgresServer, how: str
) -> None:
    """While the server is away that is said at once; when it is back, the next one is served."""
    link.run(backend, T)
    getattr(postgres_server, how)()
    started = time.monotonic()
    try:
        with pytest.raises(CatalogUnavailableError):
            link.run(backend, T)
        assert time.monotonic() - started < T / 2
    finally:
        postgres_server.restart()

    assert link.run(backend, T)


def test_a_dead_connection_is_not_noticed(link: Link, postgres_server: PostgresServer) -> None:
    """A connection that was cut since it was last used is opened again, and the work done."""
    pid = link.run(backend, T)
    with psycopg.connect(postgres_server.dsn, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))

    assert pid != link.run(backend, T)


def test_a_frozen_server_keeps_to_the_time(link: Link, postgres_server: PostgresServer) -> None:
    """On the open connection, on a new one, and in the queue for it: nobody waits for longer."""
    link.run(backend, T)
    with postgres_server.frozen():
        waited = [refused_after(link, 0.3) for _ in range(2)]  # the open connection, then a new one
        threads = [
            threading.Thread(target=lambda: waited.append(refused_after(link, 0.3)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(T)

    assert 6 == len(waited)
    assert max(waited) < T / 2
    assert link.run(backend, T)


def refused_after(link: Link, timeout: float) -> float:
    started = time.monotonic()
    with pytest.raises(CatalogUnavailableError, match=r"no answer within 0\.3 s"):
        link.run(backend, timeout)
    return time.monotonic() - started


def test_an_attempt_is_joined(postgres_server: PostgresServer) -> None:
    """Whoever comes while an attempt to connect hangs waits for that one, and starts no other."""
    asked: list[str] = []
    go = threading.Event()

    def dsn() -> str:
        asked.append("")
        go.wait(T)
        return postgres_server.dsn

    link = Link(dsn)
    for _ in range(3):
        with pytest.raises(CatalogUnavailableError, match="no answer"):
            link.run(backend, 0.05)
    go.set()

    assert link.run(backend, T)
    assert 1 == len(asked)
    link.close()


def test_a_password_may_rotate(postgres_server: PostgresServer) -> None:
    """The DSN is asked for again at every connection, so that a new password is used."""
    said = [postgres_server.dsn.replace(postgres_server.password, "old"), postgres_server.dsn]
    link = Link(lambda: said.pop(0))

    with pytest.raises(CatalogUnavailableError, match="password authentication failed"):
        link.run(backend, T)
    assert link.run(backend, T)
    link.close()


def test_a_password_that_was_refused_is_replaced(postgres_server: PostgresServer) -> None:
    """Who is not let in asks for a newer DSN, and the same attempt succeeds with that."""
    old = postgres_server.dsn.replace(postgres_server.password, "old")
    refused: list[str] = []

    def instead(dsn: str) -> str:
        refused.append(dsn)
        return postgres_server.dsn

    link = Link(lambda: old, instead)
    assert link.run(backend, T)
    assert [old] == refused
    link.close()


def test_who_does_not_answer_has_refused_nobody() -> None:
    """Another password is asked for only where there was somebody to refuse the first."""
    refused: list[str] = []
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        dsn = f"postgresql://tenantry:old@127.0.0.1:{unused.getsockname()[1]}/x"
        with pytest.raises(CatalogUnavailableError, match="refused"):
            Link(lambda: dsn, refused.append).run(backend, T)
    assert [] == refused


def test_a_dsn_that_is_not_to_be_had() -> None:
    """A source that cannot deliver the DSN makes the database unavailable, and says why."""

    def dsn() -> str:
        raise SourceError("vault is sealed")

    with pytest.raises(CatalogUnavailableError, match="vault is sealed"):
        Link(dsn).run(backend, T)


def test_nobody_listens() -> None:
    """A port that nobody listens on is said with its reason."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(CatalogUnavailableError, match="refused"):
            Link(lambda: f"postgresql://127.0.0.1:{port}/x").run(backend, T)
