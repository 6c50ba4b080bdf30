from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import psycopg
import pytest

from tenantry import ClientRegistry
from tenantry.catalog import LazyCatalog
from tenantry.catalog.postgres.connection import connect
from tenantry.errors import CatalogUnavailableError

if TYPE_CHECKING:
    from pathlib import Path

    from tenantry.testing.postgres import PostgresServer

T = 10.0
CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rotating'"


def test_a_wait_ends_at_the_deadline(postgres_server: PostgresServer) -> None:
    """A server that stopped in its tracks keeps nobody waiting for longer than was said."""
    with closing(connect(postgres_server.dsn, 10.0)) as connection, postgres_server.frozen():
        started = time.monotonic()
        connection.deadline = started + 0.2
        with pytest.raises(TimeoutError):
            connection.execute("SELECT 1")
        assert 0.2 <= time.monotonic() - started < 5.0


def test_a_long_answer_ends_at_the_deadline(postgres_server: PostgresServer) -> None:
    """What the server takes too long for ends as well; before the deadline nothing ends."""
    with closing(connect(postgres_server.dsn, 10.0)) as connection:
        connection.deadline = time.monotonic() + 30.0
        connection.execute("SELECT pg_sleep(0.3)")
        connection.deadline = time.monotonic() + 0.2
        with pytest.raises(TimeoutError):
            connection.execute("SELECT pg_sleep(60)")


def test_nothing_is_set_for_a_session(postgres_server: PostgresServer) -> None:
    """Nothing is prepared, however often it is asked: behind a pooler it would be another's."""
    with closing(connect(postgres_server.dsn, 10.0)) as connection:
        for _ in range(10):
            connection.execute("SELECT %s::int", (1,))
        prepared = connection.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()

    assert (0,) == prepared


def test_what_a_dsn_says_wins(postgres_server: PostgresServer) -> None:
    """A DSN that names an application, or says when a peer is dead, is taken at its word."""
    said = f"{postgres_server.dsn}?application_name=mine&keepalives_idle=7"
    with closing(connect(said, 10.0)) as connection:
        parameters = connection.info.get_parameters()

    assert ("mine", "7") == (parameters["application_name"], parameters["keepalives_idle"])
    assert "20000" == parameters["tcp_user_timeout"]


@pytest.mark.parametrize(
    "dsn", ["hunter2", "postgresql://u:hunter2@[", "host='hunter2", "nonsense=hunter2"]
)
def test_a_dsn_that_cannot_be_read_is_not_shown(dsn: str) -> None:
    """What cannot be read may hold a password anywhere: nothing of it is quoted."""
    with pytest.raises(CatalogUnavailableError, match="dsn cannot be read") as caught:
        connect(dsn, 1.0)

    assert caught.value.__cause__ is caught.value.__context__ is None


def test_a_wrong_password_is_not_shown(postgres_server: PostgresServer) -> None:
    """An error of connecting says what happened, with no password in it."""
    dsn = postgres_server.dsn.replace(postgres_server.password, "postgres")
    with pytest.raises(CatalogUnavailableError, match="authentication failed") as caught:
        connect(dsn, 10.0)

    assert '"postgres"' not in str(caught.value)  # it is the user's name, too
    assert caught.value.__context__ is None


def role(server: PostgresServer, statement: str) -> None:
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute(statement.encode())


def test_a_password_that_rotates_keeps_nobody_waiting(
    postgres_server: PostgresServer, postgres_dsn: str, tmp_path: Path
) -> None:
    """All connections are cut and the old password is void: the next read logs in with the new."""
    file = tmp_path / "dsn"
    role(postgres_server, "CREATE ROLE rotating LOGIN SUPERUSER PASSWORD 'old'")
    own = f"postgres:{postgres_server.password}"
    file.write_text(postgres_dsn.replace(own, "rotating:old"))
    registry = opened_on(file)
    try:
        assert [] == list(registry.tenants)
        file.write_text(postgres_dsn.replace(own, "rotating:new"))
        role(postgres_server, "ALTER ROLE rotating PASSWORD 'new'")
        role(postgres_server, CUT)
        catalog = registry.catalog
        assert isinstance(catalog, LazyCatalog)
        assert 0 == catalog.engine.revision(T)
        assert [] == list(registry.tenants)
    finally:
        registry.close()
        role(postgres_server, "DROP OWNED BY rotating; DROP ROLE rotating")


def opened_on(dsn: Path) -> ClientRegistry:
    """Open a registry over tables that are prepared, and which does not look by itself."""
    config = {
        "catalog": {"postgres": {"dsn": {"file": str(dsn)}, "poll": 3600}},
        "allow": {"origins": ["https://api.openai.com"]},
        "defaults": {"api_key": {"env": "KEY"}},
    }
    registry = ClientRegistry.open(config, environ={"KEY": "sk-1"})
    catalog = registry.catalog
    assert isinstance(catalog, LazyCatalog)
    catalog.engine.prepare(T)
    return registry
