"""Who the tenants are: what every catalog can say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Collection

    from tenantry.errors import Problem
    from tenantry.loading import Tenant


@runtime_checkable
class Catalog(Protocol):
    """The tenants, by name. What it hands out is immutable; it holds references, never secrets."""

    def get(self, name: str) -> Tenant:
        """Return a tenant.

        Raises:
            UnknownTenantError: nobody has that name.
            TenantQuarantinedError: its own settings are wrong.
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
