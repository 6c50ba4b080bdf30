from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hvac
import pytest

if TYPE_CHECKING:
    from tenantry.testing.vault import ManualClock, VaultServer


@pytest.fixture
def lease_id(vault: VaultServer, root: Any) -> str:
    vault.dynamic_role("svc", ttl=60, max_ttl=100)
    made: str = root.read("database/creds/svc")["lease_id"]
    return made


def test_a_lease_is_renewed_up_to_its_maximum(clock: ManualClock, root: Any, lease_id: str) -> None:
    """Renewals count from now and stop at the role's max TTL, with a warning."""
    clock.advance(50)
    first = root.sys.renew_lease(lease_id)
    second = root.sys.renew_lease(lease_id, increment=15)
    clock.advance(10)

    assert (
        50,
        ['TTL of "1m" exceeded the effective max_ttl of "50s"; TTL value is capped accordingly'],
    ) == (
        first["lease_duration"],
        first["warnings"],
    )
    assert (lease_id, 15, None) == (
        second["lease_id"],
        second["lease_duration"],
        second["warnings"],
    )
    data = root.sys.read_lease(lease_id)["data"]
    assert (5, True) == (data["ttl"], data["last_renewal"] is not None)


def test_a_lease_that_is_gone_is_unknown(root: Any, lease_id: str) -> None:
    """Revoking twice is harmless, looking up and renewing are not."""
    for _ in range(2):
        root.sys.revoke_lease(lease_id)

    with pytest.raises(hvac.exceptions.InvalidRequest, match="invalid lease"):
        root.sys.read_lease(lease_id)
    with pytest.raises(hvac.exceptions.InvalidRequest, match="lease not found"):
        root.sys.renew_lease(lease_id)


def test_leases_are_revoked_by_prefix(vault: VaultServer, root: Any, lease_id: str) -> None:
    """A prefix ends the leases below it and no others."""
    root.sys.revoke_prefix("other/")
    assert (lease_id,) == vault.leases

    root.sys.revoke_prefix("database/creds/svc")
    assert not vault.leases


def test_some_leases_are_not_renewable(vault: VaultServer, root: Any) -> None:
    """A role may say that its leases end with their first TTL."""
    vault.dynamic_role("fixed", renewable=False)

    with pytest.raises(hvac.exceptions.InvalidRequest, match="lease is not renewable"):
        root.sys.renew_lease(root.read("database/creds/fixed")["lease_id"])
