"""`tenantry list`: who the tenants are."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tenantry.cli.fresh import Fresh
    from tenantry.cli.terminal import Terminal

STATES = ("served", "disabled", "quarantined")
STYLES = {"served": "", "disabled": "dim", "quarantined": "red"}
COLUMNS = ("tenant", "provider", "base URL", "source", "state")
KEYS = ("tenant", "provider", "base_url", "credential", "source", "state")
SDK_ADDRESS = "(the SDK's own)"


@click.command("list")
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
@click.option("--state", type=click.Choice(STATES), help="Only those in this state.")
@click.pass_obj
def command(terminal: Terminal, patterns: tuple[str, ...], state: str | None) -> None:
    """List the tenants, or those whose names match a PATTERN such as 'eu-*'.

    Reads files and variables, no secrets, and asks nobody.
    """
    from tenantry.cli.fresh import fresh

    with fresh(terminal) as read:
        found = [_row(read, name) for name in read.catalog.names() if _matches(name, patterns)]
    rows = [row for row in found if state in (None, row["state"])]
    if terminal.as_json:
        terminal.data(rows)
        return
    terminal.standing()
    styles = [STYLES[row["state"]] for row in rows]
    terminal.table(COLUMNS, list(map(_cells, rows)), styles=styles)


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def _row(read: Fresh, name: str) -> dict[str, Any]:
    from tenantry.cli.fresh import QUARANTINED, address, credential_of

    state = read.state(name)
    if state == QUARANTINED:
        return dict.fromkeys(KEYS) | {"tenant": name, "state": state}
    settings = read.catalog.get(name).settings
    setting, source = credential_of(settings)
    values = name, settings.provider, address(settings), setting, source, state
    return {key: value or None for key, value in zip(KEYS, values, strict=True)}


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    """Return a row as people read it."""
    base_url = row["base_url"] or (SDK_ADDRESS if row["provider"] else "-")
    return row["tenant"], row["provider"] or "-", base_url, row["source"] or "-", row["state"]
