"""Whose request it is, on the spans that others make."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import use_span

from tenantry import use_tenant
from tenantry.integrations.spans import TenantSpans

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exporter: InMemorySpanExporter) -> Tracer:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(TenantSpans())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider.get_tracer("application")


def tenants(exporter: InMemorySpanExporter) -> dict[str, object]:
    return {
        span.name: (span.attributes or {}).get("tenant.id")
        for span in exporter.get_finished_spans()
    }


def test_a_span_belongs_to_the_current_tenant(
    tracer: Tracer, exporter: InMemorySpanExporter
) -> None:
    """Where there is one when it begins."""
    tracer.start_span("before").end()
    with use_tenant("acme"):
        tracer.start_span("inside").end()
    assert {"before": None, "inside": "acme"} == tenants(exporter)


def test_a_part_belongs_to_the_tenant_of_the_whole(
    tracer: Tracer, exporter: InMemorySpanExporter
) -> None:
    """Whatever thread or task it happens on, unless that one has a tenant of its own."""
    with use_tenant("acme"):
        whole = tracer.start_span("whole")
    with use_span(whole, end_on_exit=True):
        tracer.start_span("part").end()
        with use_tenant("globex"):
            tracer.start_span("other").end()
    assert {"whole": "acme", "part": "acme", "other": "globex"} == tenants(exporter)


def test_a_span_that_names_a_tenant_keeps_it(
    tracer: Tracer, exporter: InMemorySpanExporter
) -> None:
    """Who made it knows better."""
    with use_tenant("acme"):
        tracer.start_span("named", attributes={"tenant.id": "globex"}).end()
    assert {"named": "globex"} == tenants(exporter)
