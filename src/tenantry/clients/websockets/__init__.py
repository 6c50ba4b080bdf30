"""WebSockets of sealed clients: they pass httpx by, and are put through the gate all the same."""

from tenantry.clients.websockets.connecting import seals_websockets
from tenantry.clients.websockets.seal import boundary_of

__all__ = ["boundary_of", "seals_websockets"]
