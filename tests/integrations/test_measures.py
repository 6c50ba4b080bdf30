"""What there is to measure of a registry, whatever carries it away."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING

import pytest

from tenantry import ClientRegistry
from tenantry.events import (
    CatalogReloaded,
    ClientBuilt,
    RefreshFailed,
    ReloadRejected,
    RequestReplayed,
    SecretRefreshed,
)
from tenantry.integrations.measures import Measures, Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenantry.events import Event
    from tenantry.integrations.measures import Labels, Measure

LIMIT = 10.0  # seconds after which a test that hangs fails
NAMES = ("acme", "globex")
EVENTS: list[Event] = [
    SecretRefreshed("acme", source="vault", version="1", seconds=0.5, changed=False),
    SecretRefreshed("acme", source="vault", version="2", seconds=0.25, changed=True),
    RefreshFailed(
        *("globex", "file", "is away", "transient"), retry_in=1.0, usable=True, seconds=0.125
    ),
    RequestReplayed("acme", source="vault", version="2", previous_version="1"),
    ClientBuilt("acme", endpoint="", kind="SealedOpenAI"),
    CatalogReloaded("", added=(), changed=("acme",), removed=(), rejected=()),
    ReloadRejected("", problems=()),
]


class Notes:
    """What was noted, as `name{label=value} amount`."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __call__(self, measure: Measure, amount: float, labels: Labels) -> None:
        assert set(measure.labels) == set(labels)
        said = ",".join(f"{name}={labels[name]}" for name in measure.labels)
        self.lines.append(f"{measure.name}{{{said}}} {amount:g}")


@pytest.fixture
def registry() -> Iterator[ClientRegistry]:
    tenants = {name: {"api_key": {"env": "KEY"}} for name in NAMES}
    config = {"registry": {"warm": "none"}, "tenants": tenants}
    with ClientRegistry.open(config, environ={"KEY": "sk-0123456789"}) as opened:
        yield opened


def noted(registry: ClientRegistry, *, tenant_limit: int = 2) -> list[str]:
    notes = Notes()
    measures = Measures(registry, notes, tenant_limit=tenant_limit)
    told = threading.Event()
    registry.subscribe(lambda event: told.set() if event is EVENTS[-1] else None)
    for event in EVENTS:
        registry._events.publish(event)
    assert told.wait(LIMIT)
    measures.close()
    return notes.lines


def test_events_become_counts_and_durations(registry: ClientRegistry) -> None:
    """What nobody measures adds nothing."""
    assert [
        "tenantry.credential.refresh{tenant=acme,source=vault,outcome=unchanged} 1",
        "tenantry.credential.refresh.duration{source=vault,outcome=unchanged} 0.5",
        "tenantry.credential.refresh{tenant=acme,source=vault,outcome=changed} 1",
        "tenantry.credential.refresh.duration{source=vault,outcome=changed} 0.25",
        "tenantry.credential.refresh{tenant=globex,source=file,outcome=failed} 1",
        "tenantry.credential.refresh.duration{source=file,outcome=failed} 0.125",
        "tenantry.requests.replayed{tenant=acme,source=vault} 1",
        "tenantry.config.reload{outcome=applied} 1",
        "tenantry.config.reload{outcome=rejected} 1",
    ] == noted(registry)


def test_above_the_limit_nothing_names_a_tenant(registry: ClientRegistry) -> None:
    """The label is there and empty, so that a measure has the same labels always."""
    lines = noted(registry, tenant_limit=1)
    assert "tenantry.credential.refresh{tenant=,source=vault,outcome=changed} 1" in lines
    assert not [line for line in lines if "acme" in line or "globex" in line]


def test_what_is_looked_at_is_of_tenants_in_use(registry: ClientRegistry) -> None:
    """Of one source the value that expires first tells."""
    measures = Measures(registry, Notes(), tenant_limit=2)
    assert Seen() == measures.look()
    for name in NAMES:
        registry.client(name)
        registry.refresh(name)
    each = measures.look()
    assert (dict.fromkeys(NAMES, 1), dict.fromkeys(NAMES, 0)) == (each.clients, each.in_flight)
    assert {(name, "env") for name in NAMES} == set(each.expiry)
    together = Measures(registry, Notes(), tenant_limit=1).look()
    assert ({"": 2}, {"": 0}) == (together.clients, together.in_flight)
    assert {("", "env"): pytest.approx(min(each.expiry.values()), abs=60)} == together.expiry


def test_closed_measures_look_at_nothing(registry: ClientRegistry) -> None:
    """And hear no event."""
    notes = Notes()
    measures = Measures(registry, notes)
    registry.client("acme")
    measures.close()
    assert Seen() == measures.look()
    assert () == registry._events._hooks


def test_no_registry_is_kept_alive_by_being_measured() -> None:
    """A meter keeps what it calls for as long as the process lives."""
    opened = ClientRegistry.open({"tenants": {"acme": {"api_key": {"env": "KEY"}}}}, environ={})
    measures, alive = Measures(opened, Notes()), weakref.ref(opened)
    opened.close()
    del opened
    gc.collect()
    assert (None, Seen()) == (alive(), measures.look())


def test_thousands_of_tenants_are_looked_at_without_being_built() -> None:
    """Only those with clients are; the others are counted."""
    tenants = {f"t{number}": {"api_key": {"env": "KEY"}} for number in range(2_000)}
    with ClientRegistry.open({"tenants": tenants}, environ={}) as registry:
        registry.client("t7")
        assert {"": 1} == Measures(registry, Notes(), tenant_limit=500).look().clients
        assert 1 == len(registry._clients.built())
