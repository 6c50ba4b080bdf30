"""Dynamic credentials: every read mints new ones, under a lease."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tenantry.testing.vault import times
from tenantry.testing.vault.envelope import RefusedError, Reply, no_content, secret
from tenantry.testing.vault.routes import RoutedEngine
from tenantry.testing.vault.tokens import SYSTEM_TTL

if TYPE_CHECKING:
    from tenantry.testing.vault.leases import LeaseStore
    from tenantry.testing.vault.mounts import Call

Mint = Callable[[str, int], Mapping[str, Any]]
"""Makes the data of the n-th credential of a role."""

DEFAULT_TTL = 3600


@dataclass(frozen=True, slots=True)
class DynamicRole:
    """How a role's credentials are made, and for how many seconds they are leased."""

    mint: Mint
    ttl: int = DEFAULT_TTL
    max_ttl: int = SYSTEM_TTL
    renewable: bool = True


class Dynamic(RoutedEngine):
    """One mount with the surface of the database engine: `roles/{role}` and `creds/{role}`."""

    def __init__(self, leases: LeaseStore) -> None:
        self._leases = leases
        self._minted: dict[str, int] = {}
        self.roles: dict[str, DynamicRole] = {}
        super().__init__(
            ("read", "creds/+", self._mint),
            ("write", "roles/+", self._write),
            ("delete", "roles/+", self._delete),
        )

    def _mint(self, call: Call, name: str) -> Reply:
        role = self.roles.get(name)
        if role is None:
            raise RefusedError(400, f"unknown role: {name}")
        self._minted[name] = number = self._minted.get(name, 0) + 1
        lease = self._leases.grant(
            f"{call.mount}{call.path}",
            call.caller,
            call.now,
            ttl=min(role.ttl, role.max_ttl),
            limit=role.max_ttl,
            renewable=role.renewable,
        )
        return secret(
            role.mint(name, number),
            lease_id=lease.id,
            lease_duration=lease.ttl,
            renewable=lease.renewable,
        )

    def _write(self, call: Call, name: str) -> Reply:
        self.roles[name] = DynamicRole(
            user_and_password,
            times.seconds(call.body.get("default_ttl"), DEFAULT_TTL),
            times.seconds(call.body.get("max_ttl"), SYSTEM_TTL),
        )
        return no_content()

    def _delete(self, _call: Call, name: str) -> Reply:
        self.roles.pop(name, None)
        return no_content()


def user_and_password(role: str, number: int) -> dict[str, str]:
    """Mint what a database role gives: a user name of its own and a password."""
    return {"username": f"v-token-{role}-{number}", "password": secrets.token_urlsafe(15)}
