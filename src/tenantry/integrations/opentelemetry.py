"""tenantry in OpenTelemetry: what a registry does, as metrics of the application's provider.

    measured = instrument(registry)             # once; each forked process for itself
    ...
    measured.close()

The tenant on spans that others make is in `tenantry.integrations.spans`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import metrics
from opentelemetry.metrics import Observation

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
    from collections.abc import Iterator, Mapping

    from opentelemetry.metrics import CallbackOptions, Meter, MeterProvider

    from tenantry.registry import ClientRegistry


def instrument(
    registry: ClientRegistry,
    meter_provider: MeterProvider | None = None,
    *,
    tenant_limit: int = TENANT_LIMIT,
) -> Instrumentation:
    """Measure a registry until what this returns is closed.

    Args:
        registry: what is measured; it is not kept alive.
        meter_provider: the global one by default.
        tenant_limit: with more tenants than that, no metric says which tenant it is of.
    """
    meter = metrics.get_meter("tenantry", meter_provider=meter_provider)
    return Instrumentation(registry, meter, tenant_limit)


class Instrumentation:
    """The instruments of one registry. A meter keeps them, so that `close` only silences them."""

    def __init__(self, registry: ClientRegistry, meter: Meter, tenant_limit: int) -> None:
        self._counters = {
            each: meter.create_counter(each.name, each.unit, each.description)
            for each in (REFRESHES, REPLAYS, RELOADS)
        }
        self._duration = meter.create_histogram(
            REFRESH_DURATION.name,
            REFRESH_DURATION.unit,
            REFRESH_DURATION.description,
            explicit_bucket_boundaries_advisory=BUCKETS,
        )
        self._measures = Measures(registry, self._note, tenant_limit=tenant_limit)
        for measure, create, look in (
            (CLIENTS, meter.create_observable_up_down_counter, self._clients),
            (IN_FLIGHT, meter.create_observable_up_down_counter, self._in_flight),
            (EXPIRY, meter.create_observable_gauge, self._expiry),
        ):
            create(measure.name, [look], measure.unit, measure.description)

    def close(self) -> None:
        """Measure nothing any more."""
        self._measures.close()

    def _note(self, measure: Measure, amount: float, labels: Mapping[str, str]) -> None:
        if measure is REFRESH_DURATION:
            self._duration.record(amount, _attributes(**labels))
        else:
            self._counters[measure].add(amount, _attributes(**labels))

    def _clients(self, _: CallbackOptions) -> Iterator[Observation]:
        for tenant, count in self._measures.look().clients.items():
            yield Observation(count, _attributes(tenant=tenant))

    def _in_flight(self, _: CallbackOptions) -> Iterator[Observation]:
        for tenant, count in self._measures.look().in_flight.items():
            yield Observation(count, _attributes(tenant=tenant))

    def _expiry(self, _: CallbackOptions) -> Iterator[Observation]:
        for (tenant, source), left in self._measures.look().expiry.items():
            yield Observation(left, _attributes(tenant=tenant, source=source))


def _attributes(**labels: str) -> dict[str, Any]:
    """Return labels as attributes: one that says nothing is left out."""
    return {name: value for name, value in labels.items() if value}
