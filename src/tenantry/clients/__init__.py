"""How an SDK client is built, sealed and connected."""

from tenantry.clients.built import BuiltClients
from tenantry.clients.endpoint import EndpointClients
from tenantry.clients.options import ClientOptions, checked
from tenantry.clients.sockets import Sockets

__all__ = ["BuiltClients", "ClientOptions", "EndpointClients", "Sockets", "checked"]
