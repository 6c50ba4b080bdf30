"""What the registry knows of one tenant, without a secret."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenantry.errors import TenantQuarantinedError

if TYPE_CHECKING:
    from tenantry.catalog import Catalog
    from tenantry.clients import BuiltClients
    from tenantry.credential import CredentialStatus
    from tenantry.errors import Problem
    from tenantry.secrets import Secrets


@dataclass(frozen=True, slots=True)
class TenantStatus:
    """What is known of one tenant. Holds no secret.

    `clients` are the classes of the clients that were built, `in_flight` how many requests passed
    the gate and are not over, on any client. `superseded` are the classes of clients that were
    evicted, and that somebody still holds. `problems` keep a tenant in quarantine: it is served
    with the last settings that were right, or not at all where `provider` is empty.
    """

    name: str
    provider: str
    enabled: bool
    base_url: str
    clients: tuple[str, ...]
    in_flight: int
    superseded: tuple[str, ...]
    credentials: tuple[CredentialStatus, ...]
    problems: tuple[Problem, ...]


def status_of(name: str, catalog: Catalog, clients: BuiltClients, secrets: Secrets) -> TenantStatus:
    """Return what is known of a tenant; reads no secret, asks nobody and leaves nothing behind.

    Raises:
        UnknownTenantError: nobody has that name.
    """
    try:
        settings, problems = catalog.get(name).settings, catalog.problems(name)
    except TenantQuarantinedError as error:
        return TenantStatus(
            name,
            provider="",
            enabled=True,
            base_url="",
            clients=(),
            in_flight=0,
            superseded=(),
            credentials=(),
            problems=error.problems,
        )
    return TenantStatus(
        name=name,
        provider=settings.provider,
        enabled=settings.enabled,
        base_url=settings.azure_endpoint or settings.base_url or "",
        clients=tuple(kind for each in clients.of(name) for kind in each.built),
        in_flight=sum(each.in_flight() for each in clients.all_of(name)),
        superseded=tuple(kind for each in clients.superseded(name) for kind in each.kinds_held),
        credentials=secrets.statuses(name, settings),
        problems=problems,
    )
