"""The endpoints below sys/leases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenantry.testing.vault import times
from tenantry.testing.vault.envelope import RefusedError, Reply, no_content, secret

if TYPE_CHECKING:
    from tenantry.testing.vault.leases import Lease
    from tenantry.testing.vault.mounts import Call
    from tenantry.testing.vault.routes import Handler
    from tenantry.testing.vault.state import VaultState


def lease_routes(state: VaultState) -> list[tuple[str, str, Handler]]:
    """Return the endpoints that show, renew and revoke leases."""
    endpoints = LeaseEndpoints(state)
    return [
        ("write", "leases/lookup", endpoints.look_up),
        ("write", "leases/renew", endpoints.renew),
        ("write", "renew", endpoints.renew),
        ("write", "leases/revoke", endpoints.revoke),
        ("write", "revoke", endpoints.revoke),
        ("write", "leases/revoke-prefix/*", endpoints.revoke_prefix),
    ]


class LeaseEndpoints:
    """What callers can do with a lease id."""

    def __init__(self, state: VaultState) -> None:
        self._state = state

    def look_up(self, call: Call) -> Reply:
        return secret(self._named(call, "invalid lease").describe(call.now))

    def renew(self, call: Call) -> Reply:
        lease = self._named(call, "lease not found")
        increment = times.seconds(call.body.get("increment"))
        ttl, warnings = self._state.leases.renew(lease, increment, call.now)
        return secret(
            None, lease_id=lease.id, lease_duration=ttl, renewable=True, warnings=warnings
        )

    def revoke(self, call: Call) -> Reply:
        lease = self._state.leases.find(str(call.body.get("lease_id", "")), call.now)
        if lease is not None:
            lease.revoked = True
        return no_content()

    def revoke_prefix(self, call: Call, prefix: str) -> Reply:
        for lease in self._state.leases.alive(call.now):
            lease.revoked = lease.id.startswith(prefix)
        return no_content()

    def _named(self, call: Call, otherwise: str) -> Lease:
        lease = self._state.leases.find(str(call.body.get("lease_id", "")), call.now)
        if lease is None:
            raise RefusedError(400, otherwise)
        return lease
