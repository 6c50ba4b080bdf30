"""What there is to measure of a registry, whatever carries it away.

Counters and durations come from events, as they happen; the rest is looked at when somebody asks,
of tenants in use only.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from tenantry.events import (
    CatalogReloaded,
    RefreshFailed,
    ReloadRejected,
    RequestReplayed,
    SecretRefreshed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tenantry.events import Event
    from tenantry.registry import ClientRegistry
    from tenantry.usage import TenantUsage

    Labels = Mapping[str, str]

TENANT_LIMIT: Final = 500  # tenants; three outcomes each are what one OpenTelemetry metric may hold


@dataclass(frozen=True, slots=True)
class Measure:
    """One thing that is measured; `unit` as OpenTelemetry writes it."""

    name: str
    description: str
    unit: str
    labels: tuple[str, ...]


REFRESHES = Measure(
    "tenantry.credential.refresh",
    "Fetches of secrets; outcome is changed, unchanged or failed.",
    "{refresh}",
    ("tenant", "source", "outcome"),
)
REFRESH_DURATION = Measure(
    "tenantry.credential.refresh.duration",
    "How long fetches of secrets took.",
    "s",
    ("source", "outcome"),
)
REPLAYS = Measure(
    "tenantry.requests.replayed",
    "Requests that were answered 401 and sent once more with another secret.",
    "{request}",
    ("tenant", "source"),
)
RELOADS = Measure(
    "tenantry.config.reload",
    "Changes of the configuration; outcome is applied or rejected.",
    "{reload}",
    ("outcome",),
)
EXPIRY = Measure(
    "tenantry.credential.expiry",
    "Seconds until a held secret cannot serve any more, of several the least.",
    "s",
    ("tenant", "source"),
)
CLIENTS = Measure("tenantry.clients", "Clients that the registry holds.", "{client}", ("tenant",))
IN_FLIGHT = Measure(
    "tenantry.requests.in_flight", "Requests that are not over.", "{request}", ("tenant",)
)

BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds


@dataclass(frozen=True, slots=True)
class Seen:
    """What was looked at: counts by tenant, and the seconds that are left by tenant and source."""

    clients: dict[str, int] = field(default_factory=dict[str, int])
    in_flight: dict[str, int] = field(default_factory=dict[str, int])
    expiry: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])


Note: TypeAlias = "Callable[[Measure, float, Labels], None]"


class Measures:
    """Measures one registry until it is closed; keeps no registry alive.

    Args:
        registry: what is measured.
        note: is given every count and duration as it happens, on the thread of hooks.
        tenant_limit: with more tenants than that, nothing says which tenant it is of.
    """

    def __init__(
        self, registry: ClientRegistry, note: Note, *, tenant_limit: int = TENANT_LIMIT
    ) -> None:
        self._registry: Callable[[], ClientRegistry | None] = weakref.ref(registry)
        self._note = note
        self._tenant_limit = tenant_limit
        self._unsubscribe = registry.subscribe(self._take)

    def close(self) -> None:
        """Measure nothing any more."""
        self._unsubscribe()
        self._registry = _nothing

    def look(self) -> Seen:
        """Look at everything that is in use, once."""
        seen = Seen()
        for tenant, usage in self._usages():
            seen.clients[tenant] = seen.clients.get(tenant, 0) + usage.clients
            seen.in_flight[tenant] = seen.in_flight.get(tenant, 0) + usage.in_flight
            for source, left in usage.expires_in.items():
                key = tenant, source
                seen.expiry[key] = min(left, seen.expiry.get(key, left))
        return seen

    def _usages(self) -> Iterator[tuple[str, TenantUsage]]:
        registry = self._registry()
        if registry is not None:
            shown = self._shows_tenants(registry)
            for usage in registry.in_use():
                yield usage.tenant if shown else "", usage

    def _take(self, event: Event) -> None:
        registry = self._registry()
        if registry is not None:
            tenant = event.tenant if self._shows_tenants(registry) else ""
            for measure, amount, labels in _measured(event):
                said = {"tenant": tenant, **labels} if "tenant" in measure.labels else labels
                self._note(measure, amount, said)

    def _shows_tenants(self, registry: ClientRegistry) -> bool:
        return len(registry.tenants) <= self._tenant_limit


def _measured(event: Event) -> Iterator[tuple[Measure, float, Labels]]:
    """Return what an event adds to which measure; the tenant's label is not said here."""
    if isinstance(event, (SecretRefreshed, RefreshFailed)):
        labels = {"source": event.source, "outcome": _outcome(event)}
        yield REFRESHES, 1, labels
        yield REFRESH_DURATION, event.seconds, labels
    elif isinstance(event, RequestReplayed):
        yield REPLAYS, 1, {"source": event.source}
    elif isinstance(event, CatalogReloaded):
        yield RELOADS, 1, {"outcome": "applied"}
    elif isinstance(event, ReloadRejected):
        yield RELOADS, 1, {"outcome": "rejected"}


def _outcome(event: SecretRefreshed | RefreshFailed) -> str:
    if isinstance(event, RefreshFailed):
        return "failed"
    return "changed" if event.changed else "unchanged"


def _nothing() -> None:
    return None
