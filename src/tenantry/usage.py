"""What of a registry is in use: clients, and the secrets that are held for tenants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tenantry.clients import BuiltClients, EndpointClients


@dataclass(slots=True)
class TenantUsage:
    """What one tenant has in use.

    `clients` are those that the registry holds, `in_flight` the requests on any client.
    `expires_in` are the seconds until a held secret cannot serve any more, by the name of its
    source: of several the least; negative where one expired that somebody read.
    """

    tenant: str
    clients: int = 0
    in_flight: int = 0
    expires_in: dict[str, float] = field(default_factory=dict[str, float])


def usage_of(
    clients: BuiltClients, expiries: Iterable[tuple[str, str, float]]
) -> list[TenantUsage]:
    """Return what is in use, tenant by tenant; builds nothing and asks nobody.

    Args:
        clients: every client that was built.
        expiries: of each secret that is held its tenant, its source and the seconds it has left.
    """
    found: dict[str, TenantUsage] = {}
    for each in _distinct(clients):
        usage = found.setdefault(each.tenant, TenantUsage(each.tenant))
        usage.clients += len(each.built)
        usage.in_flight += each.in_flight()
    for tenant, source, left in expiries:
        expires_in = found.setdefault(tenant, TenantUsage(tenant)).expires_in
        expires_in[source] = min(left, expires_in.get(source, left))
    return list(found.values())


def _distinct(clients: Iterable[EndpointClients]) -> Iterable[EndpointClients]:
    return {id(each): each for each in clients}.values()
