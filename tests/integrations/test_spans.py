"""Whose request it is, on the spans that others make."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import use_span

from tenantry import ClientRegistry, use_tenant
from tenantry.clients.http import httpx
from tenantry.integrations.spans import TenantSpans, mark_current_span

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

    from tenantry.testing import OpenAIServer


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


async def test_the_span_that_makes_a_request_may_be_marked(
    tracer: Tracer, exporter: InMemorySpanExporter, openai_server: OpenAIServer
) -> None:
    """With the tenant of its client, sync or async, where nobody said `use_tenant`; one is kept."""
    openai_server.allow("key")
    said = {"base_url": openai_server.base_url, "api_key": {"env": "KEY"}}
    config = {"tenants": {"acme": said, "globex": said}}
    async with ClientRegistry.open(config, environ={"KEY": "key"}) as registry:
        end = registry.on_request(mark_current_span)
        with tracer.start_as_current_span("sync"):
            registry.client("acme").models.list()
        with tracer.start_as_current_span("async"):
            await registry.async_client("globex").models.list()
        with tracer.start_as_current_span("both"):
            await registry.async_client("acme").models.list()
            await registry.async_client("globex").models.list()
        end()
        with tracer.start_as_current_span("after"):
            registry.client("acme").models.list()
        registry.client("acme").models.list()
    expected = {"sync": "acme", "async": "globex", "both": "acme", "after": None}
    assert expected == tenants(exporter)


def test_what_a_request_is_made_of_belongs_to_its_tenant(
    tracer: Tracer,
    exporter: InMemorySpanExporter,
    openai_server: OpenAIServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Instrumentations of http libraries begin their spans where those send."""
    send = httpx.HTTPTransport.handle_request

    def traced(transport: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        with tracer.start_as_current_span("sending"):
            return send(transport, request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", traced)
    openai_server.allow("key")
    said = {"base_url": openai_server.base_url, "api_key": {"env": "KEY"}}
    with ClientRegistry.open({"tenants": {"acme": said}}, environ={"KEY": "key"}) as registry:
        registry.client("acme").models.list()
    assert {"sending": "acme"} == tenants(exporter)
