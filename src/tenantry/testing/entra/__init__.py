"""An Entra ID of one's own: authority, managed identity and Key Vault on loopback sockets."""

from tenantry.testing.entra.exchange import RecordedRequest, RequestKind
from tenantry.testing.entra.server import EntraServer
from tenantry.testing.entra.tokens import IssuedToken, IssueHook, TokenKind

__all__ = [
    "EntraServer",
    "IssueHook",
    "IssuedToken",
    "RecordedRequest",
    "RequestKind",
    "TokenKind",
]
