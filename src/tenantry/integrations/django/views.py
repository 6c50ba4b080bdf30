"""`/livez` and `/readyz`, for whoever starts and stops processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import JsonResponse

from tenantry.errors import TenantryError
from tenantry.integrations.django.handler import get_registry

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


def livez(request: HttpRequest) -> HttpResponse:
    """Answer 200: the process answers. Looks at nothing else."""
    del request
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 once the registry is open and every source of secrets has delivered, else 503."""
    del request
    try:
        faults = get_registry().ready()
    except TenantryError:
        return JsonResponse({"status": "unavailable"}, status=503)
    sources = {name: "ok" if fault is None else "unavailable" for name, fault in faults.items()}
    ready = all(fault is None for fault in faults.values())
    status = "ok" if ready else "unavailable"
    return JsonResponse({"status": status, "sources": sources}, status=200 if ready else 503)
