"""No secret is found in metrics, spans and what is told of requests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry, generate_latest
from tests.planted.errands import requests
from tests.planted.hunting import Hunt, found_in

from tenantry import ClientRegistry
from tenantry.integrations import opentelemetry, prometheus
from tenantry.integrations.spans import TenantSpans

if TYPE_CHECKING:
    from tests.planted.estate import Estate


def test_neither_metrics_nor_spans_show_a_secret(estate: Estate) -> None:
    """Nor which versions there were: of a secret they know its source."""
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    spans, meters = TracerProvider(shutdown_on_exit=False), MeterProvider([reader])
    spans.add_span_processor(TenantSpans())
    spans.add_span_processor(SimpleSpanProcessor(exporter))
    collectors = CollectorRegistry()
    with ClientRegistry.open(estate.config(), environ=estate.environ) as registry:
        opentelemetry.instrument(registry, meters)
        prometheus.register(registry, collectors)
        with spans.get_tracer("application").start_as_current_span("work") as span:
            requests(registry, estate, Hunt())
            span.record_exception(failure(registry))
        registry._events.close(timeout=20.0)
        surfaces = {
            "metrics": str(reader.get_metrics_data()),
            "scrape": generate_latest(collectors).decode(),
            "spans": " ".join(span.to_json() for span in exporter.get_finished_spans()),
        }
    assert "tenantry" in surfaces["metrics"]
    assert "tenantry" in surfaces["scrape"]
    assert "AuthenticationError" in surfaces["spans"]
    assert [] == found_in(surfaces, estate.planted)
    meters.shutdown()


def failure(registry: ClientRegistry) -> Exception:
    try:
        registry.client("refused").models.list()
    except Exception as error:  # noqa: BLE001  # whatever it is, a span keeps it
        return error
    raise AssertionError
