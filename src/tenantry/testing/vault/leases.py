"""Leases of minted credentials: each ends on time, when revoked, or with the token behind it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tenantry.testing.vault import identifiers, times
from tenantry.testing.vault.envelope import Json, RefusedError
from tenantry.testing.vault.tokens import SYSTEM_TTL, Token

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(slots=True, eq=False)
class Lease:
    """One minted credential; times are epochs in seconds."""

    id: str
    token: Token = field(repr=False)
    issued: float
    expires: float
    ttl: int
    limit: int = SYSTEM_TTL
    renewable: bool = True
    last_renewal: float | None = None
    revoked: bool = False

    def alive(self, now: float) -> bool:
        return not self.revoked and now < self.expires and self.token.alive(now)

    def describe(self, now: float) -> Json:
        renewal = self.last_renewal
        return {
            "expire_time": times.timestamp(self.expires),
            "id": self.id,
            "issue_time": times.timestamp(self.issued),
            "last_renewal": None if renewal is None else times.timestamp(renewal),
            "renewable": self.renewable,
            "ttl": times.time_left(self.expires, now),
        }


class LeaseStore:
    """Every lease of the server; the caller holds the server's lock."""

    def __init__(self) -> None:
        self._leases: dict[str, Lease] = {}

    def grant(
        self, path: str, token: Token, now: float, *, ttl: int, limit: int, renewable: bool
    ) -> Lease:
        """Lease what `path` has minted for `ttl` seconds, at most `limit` with renewals."""
        made = Lease(
            id=f"{path}/{identifiers.accessor()}",
            token=token,
            issued=now,
            expires=now + ttl,
            ttl=ttl,
            limit=limit,
            renewable=renewable,
        )
        self._leases[made.id] = made
        return made

    def find(self, lease_id: str, now: float) -> Lease | None:
        lease = self._leases.get(lease_id)
        return lease if lease is not None and lease.alive(now) else None

    def renew(self, lease: Lease, increment: int, now: float) -> tuple[int, list[str] | None]:
        """Give a lease `increment` seconds from now (its first TTL if 0), at most its limit."""
        if not lease.renewable:
            raise RefusedError(400, "lease is not renewable")
        wanted = increment or lease.ttl
        ttl, warnings = times.capped(wanted, limit=lease.limit, issued=lease.issued, now=now)
        lease.expires, lease.last_renewal = now + ttl, now
        return ttl, warnings

    def alive(self, now: float) -> Iterator[Lease]:
        return (lease for lease in list(self._leases.values()) if lease.alive(now))
