"""Which Vault do tests talk to: an embedded one, or the real one that the environment names?"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tenantry.testing.vault.server import VaultServer

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

ADDRESS_VARIABLE = "TENANTRY_TEST_VAULT_ADDR"
TOKEN_VARIABLE = "TENANTRY_TEST_VAULT_TOKEN"


@dataclass(frozen=True, slots=True)
class VaultTarget:
    """An address and a token that may do everything; `server` is None for a real Vault."""

    url: str
    token: str = field(repr=False)
    server: VaultServer | None = None


@contextmanager
def vault_target(environ: Mapping[str, str] = os.environ) -> Generator[VaultTarget]:
    """Yield the Vault of TENANTRY_TEST_VAULT_ADDR and _TOKEN, or a fresh embedded one."""
    address = environ.get(ADDRESS_VARIABLE)
    if address:
        yield VaultTarget(address, environ.get(TOKEN_VARIABLE, ""))
        return
    with VaultServer() as server:
        yield VaultTarget(server.url, server.root_token, server)
