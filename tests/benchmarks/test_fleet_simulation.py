"""The simulated fleet: the same seed tells the same, and what differs are the ways to keep keys."""

from __future__ import annotations

import random

import pytest
from benchmarks.fleet_simulation import KEEPERS, Load, Ours, PerRequest, Pushed, Ttl, simulate

SECONDS = 1_800.0
TENANT = 1  # whose key is in Vault


def asked(kind: type[PerRequest], seed: int = 1) -> dict[str, int]:
    return {each: found.total() for each, found in simulate(kind, 2, SECONDS, seed).asked.items()}


@pytest.mark.parametrize("kind", KEEPERS)
def test_a_seed_decides_everything(kind: type[PerRequest]) -> None:
    """The same seed gives the same load, and another one another."""
    assert asked(kind) == asked(kind)
    assert asked(kind) != asked(kind, seed=2)


def test_who_keeps_nothing_asks_at_each_request() -> None:
    """Each request waits for a read and a login, or for a token."""
    found = asked(PerRequest)
    assert found["wait"] == found["read"] + found["token"]
    assert found["login"] == found["read"]


def test_what_waits() -> None:
    """Behind a TTL each fetch is waited for, in a registry only the first of each tenant."""
    ttl, ours = asked(Ttl), asked(Ours)
    assert ttl["wait"] == ttl["read"] + ttl["token"]
    assert ours["wait"] < ttl["wait"]
    assert ours["wait"] < ours["read"] + ours["token"]
    assert (2, 2) == (ttl["login"], ours["login"])


def test_what_is_due_is_fetched_if_it_was_used() -> None:
    """A document that was used since it came is fetched ahead of need, another is not."""
    load = Load()
    ours = Ours(load, random.Random(1))
    ours.use(TENANT, 0.0)
    ours.pass_to(400.0)
    assert 1 == load.asked["read"].total()
    ours.use(TENANT, 400.0)
    ours.use(TENANT, 401.0)
    ours.pass_to(800.0)
    assert 3 == load.asked["read"].total()
    assert 1 == load.asked["wait"].total()


def test_an_announced_rotation_is_one_fetch() -> None:
    """Who holds the tenant fetches it at once, who does not fetches nothing."""
    load = Load()
    pushed = Pushed(load, random.Random(1))
    pushed.announce(TENANT, 1.0)
    assert 0 == load.asked["read"].total()
    pushed.use(TENANT, 2.0)
    pushed.announce(TENANT, 3.0)
    assert 2 == load.asked["read"].total()
