"""Who the tenants are: what every catalog can say of them, and what can change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tenantry.errors import Problem
    from tenantry.loading import Tenant


@dataclass(frozen=True, slots=True)
class CatalogChange:
    """What a reload changed, or would change: names of tenants.

    `rejected` are those whose new settings are wrong, with their problems: they keep the last
    settings that were right, if there were any.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    rejected: Mapping[str, tuple[Problem, ...]] = field(
        default_factory=dict[str, "tuple[Problem, ...]"]
    )

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed or self.rejected)


@runtime_checkable
class Catalog(Protocol):
    """The tenants, by name. What it hands out is immutable; it holds references, never secrets."""

    def get(self, name: str) -> Tenant:
        """Return a tenant.

        Raises:
            UnknownTenantError: nobody has that name.
            TenantQuarantinedError: its own settings are wrong, and were never right.
        """
        ...

    def names(self) -> Collection[str]:
        """Return every tenant's name, those in quarantine included."""
        ...

    def problems(self, name: str) -> tuple[Problem, ...]:
        """Return what is wrong with a tenant's settings; nothing for most."""
        ...

    @property
    def revision(self) -> int:
        """A number that grows with every change."""
        ...

    def changes(self, since: int) -> Collection[str] | None:
        """Return who changed after a revision; None where that is too long ago to know."""
        ...
