"""A rotation that is announced once reaches every worker, at one fetch each."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.soaks.fleet.conftest import now, waited

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.soaks.fleet.conftest import Fleet

ROUNDS = 5


@pytest.mark.parametrize(
    ("kind", "workers", "said"),
    [
        pytest.param("sqlite", 2, {"poll": 0.2}, id="sqlite"),
        pytest.param("postgres", 8, {}, id="poll", marks=pytest.mark.stress),
        pytest.param("postgres", 8, {"notify": True}, id="notify", marks=pytest.mark.stress),
    ],
)
@pytest.mark.timeout(120)
def test_a_rotation_that_is_announced(
    kind: str, workers: int, said: dict[str, Any], fleet_on: Callable[..., tuple[Fleet, Any]]
) -> None:
    """Each worker fetches the key once, and only that one, and serves it."""
    fleet, _ = fleet_on(kind, workers, 4, **said)
    took = [rotate(fleet, number) for number in range(ROUNDS)]
    print(  # noqa: T201  # read with -s
        f"\n{kind} {said}: {workers} workers, {min(took):.3f} .. {max(took):.3f} s"
    )


def rotate(fleet: Fleet, number: int) -> float:
    """Publish and announce a key; returns the seconds until all serve it."""
    [name, *_] = fleet.names
    key = f"sk-{name}-{number}"
    fleet.openai.allow(key, tenant=name)
    fleet.vault.put(name, {"api_key": key})
    fleet.vault.clear_requests()
    fleet.write({name: fleet.tenant("1", rotated_at=now())})
    took = waited(lambda: all(fleet.of_all("serves", name, key)), lambda: "some serve the old key")
    time.sleep(0.3)  # another fetch would be under way by now
    read = [each.path for each in fleet.vault.requests if each.operation == "read"]
    assert [f"secret/data/{name}"] * len(fleet.workers) == read
    return took
