"""What do a million tenants in PostgreSQL take: to open, to use one, to go through many of them?

The server is one of its own; what is measured is measured in fresh processes. The database itself
counts what it was asked.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from typing import Any

import psycopg
from benchmarks.catalog_uses import BUILT, CACHE
from benchmarks.machine import ROOT, described

from tenantry.catalog.postgres import PostgresEngine, tables
from tenantry.testing.postgres import PostgresServer

TENANTS = 1_000_000
COLD = 2_000  # tenants that are used for the first time
THROUGH = 20_000  # tenants that are gone through
OPEN_LIMIT, MEMORY_LIMIT = 1.0, 50.0  # seconds, MB
PLATEAU = 1.1  # times the memory after a quarter of the way
BATCH = 5_000

FILL = """
INSERT INTO tenantry_tenants (name, folded, said, revision)
SELECT 't' || lpad(n::text, 7, '0'), 't' || lpad(n::text, 7, '0'),
       json_build_object('organization', 'org-' || n), 1 + n / %(batch)s
FROM generate_series(0, %(count)s - 1) AS n
"""
RECORD = """
INSERT INTO tenantry_changes (revision, name, operation, who, said)
SELECT revision, name, 'put', 'benchmark', said FROM tenantry_tenants
"""
COUNT_UP = "UPDATE tenantry_catalog SET revision = (SELECT max(revision) FROM tenantry_tenants)"
SCANS = """
SELECT seq_scan, idx_scan FROM pg_stat_user_tables WHERE relname = 'tenantry_tenants'
"""


def fill(dsn: str, count: int) -> None:
    """Put tenants into an empty database, as batches of writes would have."""
    engine = PostgresEngine(lambda: dsn)
    engine.prepare(10.0)
    engine.close()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(FILL, {"count": count, "batch": BATCH})
        connection.execute(RECORD)
        connection.execute(COUNT_UP)
        connection.execute("VACUUM ANALYZE")


def plan(dsn: str) -> str:
    """Return how the database finds one tenant."""
    with psycopg.connect(dsn) as connection:
        asked = f"EXPLAIN {tables.ROW}".encode()
        return "\n".join(line for (line,) in connection.execute(asked, ("t0000042",)))


def scans(dsn: str) -> tuple[int, int]:
    """Return how often the table was read as a whole, and by an index."""
    with psycopg.connect(dsn) as connection:
        [found] = connection.execute(SCANS)
        return found[0], found[1]


def in_process(what: str, dsn: str, wanted: int, count: int) -> dict[str, Any]:
    """Do `first_uses` or `walk` in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.catalog_uses", what, dsn, str(wanted), str(count)]
    done = subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def measured(count: int) -> list[str]:
    """Measure on a server of its own, and print; returns what is not as promised."""
    with PostgresServer() as server:
        began = time.perf_counter()
        fill(server.dsn, count)
        print(f"{count:,} tenants, filled in {time.perf_counter() - began:.1f} s")
        whole, single = scans(server.dsn)
        first = in_process("first_uses", server.dsn, COLD, count)
        read = scans(server.dsn)
        print(first, f"{read[1] - single} indexed reads for {COLD} first uses", plan(server.dsn))
        walked = in_process("walk", server.dsn, THROUGH, count)["MB at each quarter"]
        print(f"{THROUGH:,} tenants, cache {CACHE:,}, clients {BUILT}: {walked} MB")
    promises = {
        f"opens within {OPEN_LIMIT} s": first["open s"] < OPEN_LIMIT,
        f"opens within {MEMORY_LIMIT} MB": first["open MB"] < MEMORY_LIMIT,
        "one indexed read each": read == (whole, single + COLD),
        "memory stays": walked[-1] < PLATEAU * walked[0],
    }
    return [promise for promise, kept in promises.items() if not kept]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=TENANTS)
    said = parser.parse_args()
    print(described())
    broken = measured(said.tenants)
    print("as promised" if not broken else f"NOT as promised: {broken}")
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
