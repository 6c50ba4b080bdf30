"""tenantry in Django.

    INSTALLED_APPS = [..., "tenantry.integrations.django"]
    MIDDLEWARE = [..., "django.contrib.auth.middleware.AuthenticationMiddleware",
                  "tenantry.integrations.django.middleware.TenantryMiddleware"]
    TENANTRY = {
        "config": BASE_DIR / "config/tenants.yaml",
        "tenant": from_user("organization.slug"),
    }

    def summary(request):                                  # the client of the request's tenant
        reply = request.openai.responses.create(model="gpt-5", input="hi")

    from tenantry.integrations.django import clients       # outside of requests
    clients["acme"].responses.create(model="gpt-5", input="hi")

One registry serves all threads, event loops and forked children of a process. It is opened when it
is first needed; nothing of it ends with a request.
"""

from __future__ import annotations

from tenantry.integrations.django.handler import async_clients, clients, get_registry
from tenantry.integrations.django.requests import (
    TenantRequest,
    aget_client,
    aget_tenant,
    get_client,
    get_tenant,
)
from tenantry.integrations.django.resolvers import (
    TenantNotAllowed,
    from_user,
    subdomain,
    trusted_header,
)

__all__ = [
    "TenantNotAllowed",
    "TenantRequest",
    "aget_client",
    "aget_tenant",
    "async_clients",
    "clients",
    "from_user",
    "get_client",
    "get_registry",
    "get_tenant",
    "subdomain",
    "trusted_header",
]
