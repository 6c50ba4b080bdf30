"""tenantry in OpenTelemetry: what a registry does, as metrics of the application's provider."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from tenantry import ClientRegistry
from tenantry.events import Event, ReloadRejected, RequestReplayed
from tenantry.integrations.opentelemetry import instrument

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 10.0  # seconds after which a test that hangs fails
CONFIG: dict[str, Any] = {
    "registry": {"warm": "none"},
    "tenants": {"acme": {"api_key": {"env": "KEY"}}},
}


@pytest.fixture
def reader() -> InMemoryMetricReader:
    return InMemoryMetricReader()


@pytest.fixture
def provider(reader: InMemoryMetricReader) -> Iterator[MeterProvider]:
    made = MeterProvider(metric_readers=[reader])
    yield made
    made.shutdown()


@pytest.fixture
def registry() -> Iterator[ClientRegistry]:
    with ClientRegistry.open(CONFIG, environ={"KEY": "sk-0123456789"}) as opened:
        yield opened


def settle(registry: ClientRegistry) -> None:
    """Wait until what happened so far was told."""
    told = threading.Event()
    unsubscribe = registry.subscribe(lambda _: told.set())
    registry._events.publish(Event("acme"))
    assert told.wait(LIMIT)
    unsubscribe()


def collected(reader: InMemoryMetricReader) -> dict[str, list[tuple[dict[str, Any], float]]]:
    """Return what an exporter would send: attributes and value, or sum, by the metric's name."""
    data = reader.get_metrics_data()
    if data is None:
        return {}
    return {
        metric.name: [
            (dict(point.attributes or {}), getattr(point, "value", getattr(point, "sum", 0.0)))
            for point in metric.data.data_points
        ]
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }


def test_a_registry_is_measured_until_the_instrumentation_is_closed(
    registry: ClientRegistry, provider: MeterProvider, reader: InMemoryMetricReader
) -> None:
    """Under the names that are promised; what happens later is not counted."""
    measured = instrument(registry, provider)
    registry.refresh("acme")
    registry.client("acme")
    registry._events.publish(RequestReplayed("acme", "env", version="", previous_version=""))
    registry._events.publish(ReloadRejected("", ()))
    registry.reload()
    settle(registry)
    found = collected(reader)
    acme = {"tenant": "acme"}
    outcome = {"source": "env", "outcome": "unchanged"}
    assert [({**acme, **outcome}, 1)] == found["tenantry.credential.refresh"]
    ((attributes, seconds),) = found["tenantry.credential.refresh.duration"]
    assert outcome == attributes
    assert seconds > 0
    ((attributes, left),) = found["tenantry.credential.expiry"]
    assert {**acme, "source": "env"} == attributes
    assert left > 0
    assert [(acme, 1)] == found["tenantry.clients"]
    assert [(acme, 0)] == found["tenantry.requests.in_flight"]
    assert [({**acme, "source": "env"}, 1)] == found["tenantry.requests.replayed"]
    assert [({"outcome": "rejected"}, 1)] == found["tenantry.config.reload"]
    measured.close()
    assert [] == collected(reader).get("tenantry.clients", [])


def test_above_the_limit_no_attribute_names_a_tenant(
    registry: ClientRegistry, provider: MeterProvider, reader: InMemoryMetricReader
) -> None:
    """It is left out."""
    instrument(registry, provider, tenant_limit=0)
    registry.refresh("acme")
    registry.client("acme")
    settle(registry)
    found = collected(reader)
    assert [({"source": "env", "outcome": "unchanged"}, 1)] == found["tenantry.credential.refresh"]
    assert [({}, 1)] == found["tenantry.clients"]
    assert [{"source": "env"}] == [each for each, _ in found["tenantry.credential.expiry"]]
