"""Tenants' names, for shells to complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenantry.errors import TenantryError

if TYPE_CHECKING:
    import click


def names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:  # noqa: ARG001  # click's own signature
    """Return the names that begin with what was typed; none where nothing can be read."""
    from tenantry.cli.fresh import fresh

    try:
        with fresh(ctx.obj) as read:
            return sorted(each for each in read.catalog.names() if each.startswith(incomplete))
    except TenantryError:
        return []
