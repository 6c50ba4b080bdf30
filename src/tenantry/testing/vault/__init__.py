"""An embedded HashiCorp Vault for tests: real HTTP, real clients, no Vault."""

from tenantry.testing.vault.clock import ManualClock
from tenantry.testing.vault.envelope import RefusedError
from tenantry.testing.vault.recording import Operation, RecordedRequest
from tenantry.testing.vault.server import VaultServer
from tenantry.testing.vault.target import VaultTarget, vault_target

__all__ = [
    "ManualClock",
    "Operation",
    "RecordedRequest",
    "RefusedError",
    "VaultServer",
    "VaultTarget",
    "vault_target",
]
