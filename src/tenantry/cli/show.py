"""`tenantry show`: every setting of a tenant, and where it was said."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from tenantry.cli import attach, exits
from tenantry.cli.names import names

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path
    from typing import TypeAlias

    from tenantry.cli.terminal import Terminal

    Parts: TypeAlias = Mapping[str, list["Row"]]  # by endpoint; "" is the tenant's own address
    Told: TypeAlias = Mapping["Row", list[int]]  # with the processes that say so

DEFAULT = "default"


class Row(NamedTuple):
    """One setting, as text."""

    setting: str
    value: str
    origin: str


@click.command("show")
@click.argument("tenant", shell_complete=names)
@click.option("--endpoint", help="Only this endpoint of it; its own address and all unless said.")
@click.option("--said", is_flag=True, help="Only what somebody said, without what is by default.")
@attach.option
@click.pass_obj
def command(
    terminal: Terminal, tenant: str, endpoint: str | None, *, said: bool, directory: Path | None
) -> None:
    """Show every setting of a TENANT: its value without secrets, and where it was said.

    Reads files and variables, no secrets, and asks nobody. With --attach live processes are asked;
    where they differ there is a line for each.
    """
    if directory is None:
        told, code = {0: _fresh(terminal, tenant, endpoint)}, exits.OK
    else:
        told, code = _live(terminal, directory, tenant, endpoint)
    pids = [pid for pid in told if pid]
    settings = {part: _united(told, part, said=said) for parts in told.values() for part in parts}
    if terminal.as_json:
        terminal.data({part: _as_dicts(rows, live=bool(pids)) for part, rows in settings.items()})
    else:
        terminal.standing(pids)
        for part, rows in settings.items():
            terminal.line(f"\n{tenant}, endpoint {part}" if part else f"\n{tenant}", bold=True)
            _show(terminal, rows, pids or [0])
    sys.exit(code)


def _fresh(terminal: Terminal, tenant: str, endpoint: str | None) -> Parts:
    from tenantry.cli.fresh import fresh
    from tenantry.loading import explain

    with fresh(terminal) as read:
        found = read.catalog.get(tenant)
    found.at(endpoint)
    parts = ["", *found.endpoints] if endpoint is None else [endpoint]
    return {
        part: [Row(each.name, each.value, each.origin) for each in explain(found, part)]
        for part in parts
    }


def _live(
    terminal: Terminal, directory: Path, tenant: str, endpoint: str | None
) -> tuple[dict[int, Parts], int]:
    answers = attach.ask(terminal, directory, "explain", tenant=tenant, endpoint=endpoint or "")
    attach.refuse(terminal, answers)
    told: dict[int, Parts] = {
        pid: {part: list(map(_row, settings)) for part, settings in parts.items()}
        for pid, parts in answers.given.items()
    }
    return told, attach.code(answers)


def _row(setting: Mapping[str, Any]) -> Row:
    return Row(setting["name"], setting["value"], setting["origin"])


def _united(told: Mapping[int, Parts], part: str, *, said: bool) -> Told:
    """Return the settings of all processes; those of which they differ one below the other."""
    found = attach.united({pid: parts.get(part, []) for pid, parts in told.items()})
    places = {name: place for place, name in enumerate(dict.fromkeys(row.setting for row in found))}
    wanted = [row for row in found if not said or row.origin != DEFAULT]
    return {row: found[row] for row in sorted(wanted, key=lambda row: places[row.setting])}


def _show(terminal: Terminal, told: Told, pids: Collection[int]) -> None:
    whose = attach.of_whom(told, pids)
    columns = (*(("pid",) if any(whose) else ()), *Row._fields)
    styles = ["dim" if row.origin == DEFAULT else "" for row in told]
    rows = [(*pid, *row) for pid, row in zip(whose, told, strict=True)]
    terminal.table(columns, rows, styles=styles)


def _as_dicts(told: Told, *, live: bool) -> list[dict[str, Any]]:
    return [row._asdict() | ({"pids": pids} if live else {}) for row, pids in told.items()]
