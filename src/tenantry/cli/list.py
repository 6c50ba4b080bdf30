"""`tenantry list`: who the tenants are."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from tenantry.cli import attach

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from tenantry.cli.terminal import Terminal
    from tenantry.loading import Tenant

SERVED, DISABLED, QUARANTINED = "served", "disabled", "quarantined"
STATES = (SERVED, DISABLED, QUARANTINED)
STYLES = {SERVED: "", DISABLED: "dim", QUARANTINED: "red"}
COLUMNS = ("tenant", "provider", "base URL", "source", "state")
SDK_ADDRESS = "(the SDK's own)"


class Row(NamedTuple):
    """What is known of a tenant; None is what is not."""

    tenant: str
    provider: str | None
    base_url: str | None
    credential: str | None
    source: str | None
    state: str

    def cells(self) -> tuple[str, ...]:
        base_url = self.base_url or (SDK_ADDRESS if self.provider else "-")
        return self.tenant, self.provider or "-", base_url, self.source or "-", self.state


@click.command("list")
@click.argument("patterns", nargs=-1, metavar="[PATTERN]...")
@click.option("--state", type=click.Choice(STATES), help="Only those in this state.")
@attach.option
@click.pass_obj
def command(
    terminal: Terminal, patterns: tuple[str, ...], state: str | None, directory: Path | None
) -> None:
    """List the tenants, or those whose names match a PATTERN such as 'eu-*'.

    Reads files and variables, no secrets, and asks nobody. With --attach live processes are asked,
    which know of a database's tenants those that they loaded; where they differ there is a line for
    each.
    """
    told = {0: _fresh(terminal)} if directory is None else _live(terminal, directory)
    wanted = {pid: _wanted(rows, patterns, state) for pid, rows in told.items()}
    found = attach.united(wanted)
    pids = [pid for pid in told if pid]
    if pids:
        found = {row: found[row] for row in sorted(found, key=lambda row: row.tenant)}
    if terminal.as_json:
        live = [{"pids": said} if pids else {} for said in found.values()]
        terminal.data([row._asdict() | said for row, said in zip(found, live, strict=True)])
    else:
        terminal.standing(pids)
        _show(terminal, found, pids or [0])


def _wanted(rows: Iterable[Row], patterns: tuple[str, ...], state: str | None) -> list[Row]:
    return [row for row in rows if _matches(row.tenant, patterns) and state in (None, row.state)]


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def _show(terminal: Terminal, found: Mapping[Row, list[int]], pids: Collection[int]) -> None:
    if not found:
        terminal.line("no tenants")
        return
    whose = attach.of_whom(found, pids)
    columns = (*(("pid",) if any(whose) else ()), *COLUMNS)
    rows = [(*pid, *row.cells()) for pid, row in zip(whose, found, strict=True)]
    terminal.table(columns, rows, styles=[STYLES[row.state] for row in found])


# -- this process ---------------------------------------------------------------------------------


def _fresh(terminal: Terminal) -> list[Row]:
    from tenantry.cli.fresh import fresh

    with fresh(terminal) as read:
        return [_row(name, tenant) for name, tenant in read.everybody()]


def _row(name: str, tenant: Tenant | None) -> Row:
    from tenantry.cli.fresh import address, credential_of

    if tenant is None:
        return Row(name, None, None, None, None, QUARANTINED)
    settings = tenant.settings
    setting, source = credential_of(settings)
    said = address(settings) or None
    state = SERVED if settings.enabled else DISABLED
    return Row(name, settings.provider, said, setting or None, source or None, state)


# -- live processes -------------------------------------------------------------------------------


def _live(terminal: Terminal, directory: Path) -> dict[int, list[Row]]:
    told = attach.ask_pages(terminal, directory, "list")
    return {pid: list(map(_told, statuses)) for pid, statuses in told.items()}


def _told(status: Mapping[str, Any]) -> Row:
    from tenantry.settings.tenant import CREDENTIAL_KEYS

    sources = {each["setting"]: each["source"] for each in status["credentials"]}
    setting = next((key for key in CREDENTIAL_KEYS if key in sources), "")
    return Row(
        status["name"],
        status["provider"] or None,
        status["base_url"] or None,
        setting or None,
        sources.get(setting),
        _state(status),
    )


def _state(status: Mapping[str, Any]) -> str:
    if status["problems"]:
        return QUARANTINED
    return SERVED if status["enabled"] else DISABLED
