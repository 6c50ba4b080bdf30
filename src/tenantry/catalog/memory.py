"""Tenants in memory, as a configuration said them."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from tenantry.errors import TenantQuarantinedError, UnknownTenantError
from tenantry.settings import folded

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tenantry.errors import Problem
    from tenantry.loading import Tenant

# Looking for a near name is for people, and takes time that grows with the catalog.
SUGGESTIONS_UP_TO = 10_000


class MemoryCatalog:
    """One immutable snapshot of tenants."""

    def __init__(
        self,
        tenants: Mapping[str, Tenant],
        quarantined: Mapping[str, tuple[Problem, ...]] | None = None,
    ) -> None:
        self._tenants = tenants
        self._quarantined = quarantined or {}
        self._names = dict.fromkeys([*tenants, *self._quarantined])

    def get(self, name: str) -> Tenant:
        tenant = self._tenants.get(name)
        if tenant is not None:
            return tenant
        if name in self._quarantined:
            raise TenantQuarantinedError(name, self._quarantined[name])
        raise UnknownTenantError(name, self._suggestions(name))

    def names(self) -> Collection[str]:
        return self._names.keys()

    def problems(self, name: str) -> tuple[Problem, ...]:
        return self._quarantined.get(name, ())

    @property
    def revision(self) -> int:
        return 1

    def _suggestions(self, name: str) -> tuple[str, ...]:
        if len(self._names) > SUGGESTIONS_UP_TO:
            return ()
        spelled = {folded(each): each for each in self._names}
        near = difflib.get_close_matches(folded(name), spelled, 3)
        return tuple(spelled[each] for each in near)
