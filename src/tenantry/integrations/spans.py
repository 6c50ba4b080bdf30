"""Whose request it is, on the spans that others make.

provider = TracerProvider()                 # of opentelemetry-sdk
provider.add_span_processor(TenantSpans())
registry.on_request(mark_current_span)      # of a handler that says no `use_tenant`
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import get_current_span

from tenantry.context import current_tenant
from tenantry.errors import NoCurrentTenantError

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import Span

TENANT: Final = "tenant.id"  # no convention names a tenant; this is what most call it


class TenantSpans(SpanProcessor):
    """Puts the current tenant on every span that begins, as `tenant.id`.

    Where there is none, a span belongs to the tenant of the span that it is part of.
    """

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        if TENANT in (span.attributes or ()):
            return
        tenant = _current() or _of(get_current_span(parent_context))
        if tenant:
            span.set_attribute(TENANT, tenant)


def mark_current_span(tenant: str) -> None:
    """Say on the current span whose request it makes, unless it says so; for `on_request`."""
    span = get_current_span()
    if not _of(span):
        span.set_attribute(TENANT, tenant)


def _current() -> str:
    try:
        return current_tenant()
    except NoCurrentTenantError:
        return ""


def _of(span: object) -> str:
    attributes = span.attributes if isinstance(span, ReadableSpan) else None
    return str((attributes or {}).get(TENANT, ""))
