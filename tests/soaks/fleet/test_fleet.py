"""Many processes on one catalog that changes, breaks and comes back: nobody is left behind."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psycopg
import pytest
from tests.soaks.fleet.conftest import Changes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.soaks.fleet.conftest import Fleet
    from tests.soaks.fleet.lines import Line

    from tenantry.testing.postgres import PostgresServer

MISSED = 200  # changes that nobody is there to hear of
KILL = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'tenantry' AND pid <> pg_backend_pid()
"""


class Disaster:
    """What happens to the database and to the way to it while tenants change."""

    def __init__(self, fleet: Fleet, lines: list[Line], server: PostgresServer) -> None:
        self.fleet, self.lines, self.server = fleet, lines, server

    def crash(self, away: float) -> None:
        self.server.crash()
        time.sleep(away)
        self.server.restart()

    def kill(self) -> int:
        """End every connection of the catalog; returns how many."""
        with psycopg.connect(self.server.dsn, autocommit=True) as connection:
            return len(connection.execute(KILL).fetchall())

    def freeze(self) -> int:
        """Silence one worker's connections, and say nothing; returns how many."""
        return self.lines[-1].freeze()

    def unseen(self, changes: Changes) -> None:
        """Make changes while no worker reaches the database."""
        for line in self.lines:
            line.cut()
        for _ in range(MISSED):
            changes.make()
        for line in self.lines:
            line.mend()


def settled(fleet: Fleet, seconds: float) -> str:
    """Check what came of a fleet that nobody changes any more; returns what to print."""
    rested = fleet.of_all("rest")
    failed = [each for worker in rested for each in worker["failed"]]
    served = {name: how for name, how in fleet.expected().items() if not how.endswith("Error")}
    tried = fleet.of_all("tries", list(served))
    assert [] == fleet.unexcused(failed)
    assert [dict.fromkeys(served, "answered")] * len(fleet.workers) == tried
    assert [] == fleet.stale()
    arrived = fleet.openai.requests
    keys = {(each.status, each.key, each.tenant) for each in arrived}
    assert keys <= {(200, f"sk-{name}", name) for name in fleet.names}
    sent = sum(worker["sent"] for worker in rested)
    return f"{sent} requests, {len(failed)} of who was gone; converged in {seconds:.2f} s"


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
@pytest.mark.timeout(120)
def test_a_small_fleet(kind: str, fleet_on: Callable[..., tuple[Fleet, list[Line]]]) -> None:
    """Two workers follow every change, those too that were made while they were cut off."""
    fleet, lines = fleet_on(kind, 2, 20, poll=0.2)
    fleet.of_all("work", fleet.names)
    changes = Changes(fleet, rate=20, seed=1)
    with changes:
        time.sleep(1.5)
        for line in lines:
            line.cut()
        time.sleep(0.5)
        for line in lines:
            line.mend()
    print(kind, settled(fleet, fleet.converge()), changes.made)  # noqa: T201  # read with -s
    assert 20 <= sum(changes.made.values())


@pytest.mark.stress
@pytest.mark.parametrize("notify", [False, True], ids=["poll", "notify"])
@pytest.mark.timeout(400)
def test_a_fleet_through_every_disaster(
    notify: bool,
    fleet_on: Callable[..., tuple[Fleet, list[Line]]],
    postgres_server: PostgresServer,
) -> None:
    """Eight workers serve what the table says, and no tenant that stayed lost a request."""
    fleet, lines = fleet_on("postgres", 8, 200, notify=notify)
    disaster = Disaster(fleet, lines, postgres_server)
    fleet.of_all("work", fleet.names)
    changes = Changes(fleet, rate=20, seed=8)
    with changes:
        time.sleep(10)
        disaster.crash(away=0)
        time.sleep(10)
        assert len(lines) <= disaster.kill()
        time.sleep(10)
        disaster.crash(away=3)
        time.sleep(10)
        assert 0 < disaster.freeze()
        time.sleep(12)
    under_way = fleet.converge()
    disaster.unseen(changes)
    report = settled(fleet, fleet.converge())
    print(  # noqa: T201  # read with -s
        f"\n{'notify' if notify else 'poll'}: {sum(changes.made.values())} changes"
        f" {dict(changes.made)}, {changes.lost} lost; the last converged in {under_way:.2f} s;"
        f" after {MISSED} unseen: {report}"
    )
    assert 800 + MISSED <= sum(changes.made.values())
