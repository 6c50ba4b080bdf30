"""One PostgreSQL server for all tests of a process, and a schema of its own for each."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING

import psycopg
import pytest

from tenantry.testing.postgres import PostgresServer, binaries

if TYPE_CHECKING:
    from collections.abc import Iterator

schemas = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_binaries() -> None:
    """What a server is started from; it has to be there in CI."""
    try:
        binaries()
    except FileNotFoundError as error:
        if "CI" in os.environ:
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def postgres_server(postgres_binaries: None) -> Iterator[PostgresServer]:
    """A running server; whoever breaks it mends it before the end of its test."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_dsn(postgres_server: PostgresServer) -> str:
    """A DSN that leads to an empty schema."""
    schema = f"test_{next(schemas)}"
    with psycopg.connect(postgres_server.dsn, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}".encode())
    return f"{postgres_server.dsn}?options=-csearch_path%3D{schema}"
