"""What the demo shows: counted by the server, which sees what really arrived."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tenantry.cli.demo.estate import HEADER

if TYPE_CHECKING:
    from tenantry.cli.demo.estate import Estate
    from tenantry.cli.demo.traffic import Traffic

REFUSED = 401


@dataclass(frozen=True, slots=True)
class Row:
    """One tenant: `version` is that of the last key the server accepted."""

    tenant: str
    provider: str
    source: str
    version: str
    requests: int
    replayed: int
    failed: int


@dataclass(frozen=True, slots=True)
class Tally:
    """The state of the demo at one moment. `crossed`: a key that came with another's request."""

    seconds: float
    rotations: int
    crossed: int
    rows: tuple[Row, ...]
    failures: tuple[str, ...]

    @property
    def requests(self) -> int:
        return sum(row.requests for row in self.rows)

    @property
    def replayed(self) -> int:
        return sum(row.replayed for row in self.rows)

    @property
    def failed(self) -> int:
        return sum(row.failed for row in self.rows)

    @property
    def passed(self) -> bool:
        return self.requests > 0 and self.failed == 0 and self.crossed == 0

    def as_dict(self) -> dict[str, Any]:
        totals = {
            "passed": self.passed,
            "requests": self.requests,
            "replayed": self.replayed,
            "failed": self.failed,
        }
        return {**totals, **asdict(self)}


def tally(estate: Estate, traffic: Traffic, seconds: float, rotations: int) -> Tally:
    """Count what the server recorded, per tenant."""
    served: Counter[str] = Counter()
    versions: dict[str, str] = {}
    crossed = 0
    for request in estate.openai.requests:
        name = request.header.get(HEADER, "")
        crossed += request.tenant is not None and request.tenant != name
        if request.status != REFUSED:
            served[name] += 1
            versions[name] = request.version or ""
    rows = tuple(
        Row(
            tenant.name,
            tenant.provider,
            tenant.source,
            versions.get(tenant.name, ""),
            served[tenant.name],
            traffic.replayed[tenant.name],
            traffic.failed[tenant.name],
        )
        for tenant in estate.tenants
    )
    return Tally(seconds, rotations, crossed, rows, tuple(traffic.failures))
