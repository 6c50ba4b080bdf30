"""What is measured of a large catalog: what the database says that it was asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks import catalog
from tenantry.testing.postgres import PostgresServer

if TYPE_CHECKING:
    from collections.abc import Iterator

TENANTS, USED = 5_000, 40


@pytest.fixture
def filled(postgres_binaries: None) -> Iterator[str]:
    """The DSN of a server of its own that keeps a few thousand tenants."""
    with PostgresServer() as server:
        catalog.fill(server.dsn, TENANTS)
        yield server.dsn


def test_a_first_use_is_one_indexed_read(filled: str) -> None:
    """A tenant that is used for the first time costs one read by an index, and no other."""
    assert catalog.plan(filled).startswith("Index Scan using tenantry_tenants_pkey")

    whole, single = catalog.scans(filled)
    catalog.in_process("first_uses", filled, USED, TENANTS)

    assert (whole, single + USED) == catalog.scans(filled)
