"""What of a registry is in use: only tenants that have clients, however many there are."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tenantry.clients import BuiltClients, EndpointClients
    from tenantry.credential import Credential


@dataclass(slots=True)
class TenantUsage:
    """What one tenant has in use.

    `clients` are those that the registry holds, `in_flight` the requests on any client.
    `expires_in` are the seconds until a held secret cannot serve any more, by the name of its
    source: of several the least; negative where one expired.
    """

    tenant: str
    clients: int = 0
    in_flight: int = 0
    expires_in: dict[str, float] = field(default_factory=dict[str, float])


def usage_of(clients: BuiltClients) -> list[TenantUsage]:
    """Return what is in use, tenant by tenant; builds nothing and asks nobody."""
    found: dict[str, TenantUsage] = {}
    for each in _distinct(clients):
        usage = found.setdefault(each.tenant, TenantUsage(each.tenant))
        usage.clients += len(each.built)
        usage.in_flight += each.in_flight()
        _note_expiry(usage, each)
    return list(found.values())


def _distinct(clients: Iterable[EndpointClients]) -> Iterable[EndpointClients]:
    return {id(each): each for each in clients}.values()


def _note_expiry(usage: TenantUsage, clients: EndpointClients) -> None:
    for credential in clients.credentials.values():
        left = _left(credential)
        if left is not None and left < usage.expires_in.get(credential.source, math.inf):
            usage.expires_in[credential.source] = left


def _left(credential: Credential) -> float | None:
    keeper = credential.keeper
    held = keeper.held
    return None if held is None else held.limits.hard - keeper.clock()
