"""Who is the current tenant?"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from tenantry.errors import NoCurrentTenantError

if TYPE_CHECKING:
    from collections.abc import Generator

_current: ContextVar[str | None] = ContextVar("tenantry_current_tenant", default=None)


@contextmanager
def use_tenant(tenant: str) -> Generator[str]:
    """Make `tenant` the current one inside the block, for this task or thread."""
    before = become(tenant)
    try:
        yield tenant
    finally:
        # Not ContextVar.reset: frameworks leave a block in another context than they entered it.
        become(before)


def become(tenant: str | None) -> str | None:
    """Make a tenant, or nobody, the current one; return who was before."""
    before = _current.get()
    if before != tenant:
        _current.set(tenant)
    return before


def current_tenant() -> str:
    """Return the current tenant's name.

    Raises:
        NoCurrentTenantError: outside every `use_tenant` block.
    """
    tenant = _current.get()
    if tenant is None:
        raise NoCurrentTenantError
    return tenant
