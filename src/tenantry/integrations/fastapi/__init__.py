"""tenantry in FastAPI.

    app = FastAPI()
    install(app, "config/tenants.yaml", tenant=claim(current_user, "tenant"))

    @app.post("/ask")
    async def ask(question: str, client: TenantClient) -> str:
        reply = await client.responses.create(model="gpt-5", input=question)
        return reply.output_text

    Patient = Annotated[AsyncOpenAI, Depends(tenant_client(timeout=600, endpoint="eu"))]

The request's tenant is the current one as long as its response, stream or background tasks last.
Errors are answered as problem+json, or with the code that closes a WebSocket.
"""

from importlib.util import find_spec

from tenantry.errors import MissingExtraError

if find_spec("fastapi") is None:
    raise MissingExtraError("fastapi", needed_for="dependencies for FastAPI")

from tenantry.integrations.fastapi.dependencies import (
    SyncTenantClient,
    TenantClient,
    TenantName,
    TenantRegistry,
    sync_tenant_client,
    tenant_client,
    tenant_name,
    tenant_registry,
)
from tenantry.integrations.fastapi.install import install, registry_of, use_registry
from tenantry.integrations.fastapi.resolvers import (
    ClaimedTenant,
    claim,
    path,
    subdomain,
    trusted_header,
)

__all__ = [
    "ClaimedTenant",
    "SyncTenantClient",
    "TenantClient",
    "TenantName",
    "TenantRegistry",
    "claim",
    "install",
    "path",
    "registry_of",
    "subdomain",
    "sync_tenant_client",
    "tenant_client",
    "tenant_name",
    "tenant_registry",
    "trusted_header",
    "use_registry",
]
