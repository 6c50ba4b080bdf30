from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hvac
import pytest
from cryptography import x509

if TYPE_CHECKING:
    from tenantry.testing.vault import VaultServer


def test_a_certificate_is_signed_by_the_root(vault: VaultServer, root: Any) -> None:
    """What the engine issues verifies against its own root, and has no lease unless asked."""
    vault.mount("pki", "pki")
    pki = root.secrets.pki
    authority = pki.generate_root("internal", "x.test")["data"]["certificate"]
    pki.create_or_update_role("r", {"ttl": "1h"})

    reply = pki.generate_certificate("r", "a.x.test")

    made = x509.load_pem_x509_certificate(reply["data"]["certificate"].encode())
    made.verify_directly_issued_by(x509.load_pem_x509_certificate(authority.encode()))
    assert "" == reply["lease_id"]


def test_a_certificate_needs_a_root_and_a_role(vault: VaultServer, root: Any) -> None:
    """An engine that is not configured issues nothing."""
    vault.mount("pki", "pki")
    with pytest.raises(hvac.exceptions.InvalidRequest, match="unknown role"):
        root.secrets.pki.generate_certificate("r", "a.x.test")
    root.secrets.pki.create_or_update_role("r", {})
    with pytest.raises(hvac.exceptions.InvalidRequest, match="must be configured"):
        root.secrets.pki.generate_certificate("r", "a.x.test")
