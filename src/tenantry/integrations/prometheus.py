"""tenantry in Prometheus: what a registry does, as a collector of prometheus_client.

collector = register(registry)
...
collector.close()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tenantry.integrations.measures import (
    BUCKETS,
    CLIENTS,
    EXPIRY,
    IN_FLIGHT,
    REFRESH_DURATION,
    REFRESHES,
    RELOADS,
    REPLAYS,
    TENANT_LIMIT,
    Measure,
    Measures,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from tenantry.registry import ClientRegistry


def register(
    registry: ClientRegistry,
    collectors: CollectorRegistry = REGISTRY,
    *,
    tenant_limit: int = TENANT_LIMIT,
) -> RegistryCollector:
    """Measure a registry until what this returns is closed.

    Args:
        registry: what is measured; it is not kept alive.
        collectors: where prometheus_client looks for metrics.
        tenant_limit: with more tenants than that, `tenant` is empty on every metric.

    Raises:
        ValueError: another registry is measured there already.
    """
    collector = RegistryCollector(registry, collectors, tenant_limit)
    try:
        collectors.register(collector)
    except ValueError:
        collector.silence()
        raise
    return collector


class RegistryCollector(Collector):
    """The metrics of one registry.

    Counters and the histogram are prometheus_client's own, so that they add up over processes; the
    gauges are looked at for each scrape.
    """

    def __init__(
        self, registry: ClientRegistry, collectors: CollectorRegistry, tenant_limit: int
    ) -> None:
        self._collectors = collectors
        self._counters = {
            each: Counter(_named(each), each.description, each.labels, registry=None)
            for each in (REFRESHES, REPLAYS, RELOADS)
        }
        self._duration = Histogram(
            _named(REFRESH_DURATION),
            REFRESH_DURATION.description,
            REFRESH_DURATION.labels,
            buckets=BUCKETS,
            registry=None,
        )
        self._measures = Measures(registry, self._note, tenant_limit=tenant_limit)

    def collect(self) -> Iterator[Metric]:
        for counter in self._counters.values():
            yield from counter.collect()
        yield from self._duration.collect()
        seen = self._measures.look()
        yield _gauge(CLIENTS, (((tenant,), count) for tenant, count in seen.clients.items()))
        yield _gauge(IN_FLIGHT, (((tenant,), count) for tenant, count in seen.in_flight.items()))
        yield _gauge(EXPIRY, seen.expiry.items())

    def describe(self) -> Iterator[Metric]:
        """Say the names alone: whoever registers a collector must not wait for a scrape."""
        for counter in self._counters.values():
            yield from counter.describe()
        yield from self._duration.describe()
        for measure in (CLIENTS, IN_FLIGHT, EXPIRY):
            yield _gauge(measure, ())

    def close(self) -> None:
        """Measure nothing any more, and leave the place for another registry."""
        self.silence()
        self._collectors.unregister(self)

    def silence(self) -> None:
        """Measure nothing any more."""
        self._measures.close()

    def _note(self, measure: Measure, amount: float, labels: Mapping[str, str]) -> None:
        if measure is REFRESH_DURATION:
            self._duration.labels(**labels).observe(amount)
        else:
            self._counters[measure].labels(**labels).inc(amount)


def _gauge(measure: Measure, values: Iterable[tuple[tuple[str, ...], float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(_named(measure), measure.description, labels=measure.labels)
    for labels, value in values:
        family.add_metric(labels, value)
    return family


def _named(measure: Measure) -> str:
    """Return the name that OpenTelemetry's exporter for Prometheus would give."""
    return measure.name.replace(".", "_") + ("_seconds" if measure.unit == "s" else "")
