"""How an SDK client is built, sealed and connected."""

from tenantry.clients.endpoint import EndpointClients
from tenantry.clients.options import ClientOptions, checked

__all__ = ["ClientOptions", "EndpointClients", "checked"]
