from __future__ import annotations

import os
import time
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest

from tenantry.testing.postgres import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer() as server:
        yield server


def asked(server: PostgresServer, statement: str) -> object:
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        row = connection.execute(statement).fetchone()
        assert row is not None
        return row[0]


def test_it_answers(server: PostgresServer) -> None:
    """It answers at its DSN, which needs the password that it made up."""
    assert 1 == asked(server, "SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(server.dsn.replace(server.password, "guessed"))


def test_a_crash_keeps_what_was_committed(server: PostgresServer) -> None:
    """After a crash it is where it was, with everything that was committed before."""
    port = server.port
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute("SET synchronous_commit = on")
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
        server.crash()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    server.restart()

    assert (port, 7) == (server.port, asked(server, "SELECT number FROM kept"))


def test_it_freezes(server: PostgresServer) -> None:
    """Frozen, it says nothing on connections that stay open; thawed, it goes on where it stood."""
    with closing(psycopg.connect(server.dsn, autocommit=True)) as connection:
        with server.frozen():
            connection.pgconn.send_query(b"SELECT 1")
            connection.pgconn.flush()
            time.sleep(0.2)
            connection.pgconn.consume_input()
            assert connection.pgconn.is_busy()
        result = connection.pgconn.get_result()

    assert result is not None
    assert b"1" == result.get_value(0, 0)


def test_it_leaves_nothing_behind() -> None:
    """Stopped, its data is gone, and so is its password from every repr."""
    server = PostgresServer()
    server.start()
    home = server._home
    assert home is not None
    assert server.password not in repr(server)
    server.stop()

    assert not os.path.exists(home)  # noqa: PTH110  # the path of a directory that is gone
    assert "stopped" in repr(server)
