"""`path("", include("tenantry.integrations.django.urls"))` answers /livez and /readyz."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from tenantry.integrations.django import views


def _for_probes(view: Any) -> Any:
    return login_not_required(never_cache(require_safe(view)))


app_name = "tenantry"
urlpatterns = [
    path("livez", _for_probes(views.livez), name="livez"),
    path("readyz", _for_probes(views.readyz), name="readyz"),
]
