"""`tenantry plan`: what another configuration changes."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click

from tenantry.cli import attach, exits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tenantry.catalog import CatalogChange
    from tenantry.cli.terminal import Terminal
    from tenantry.loading import Configuration, Tenant

STYLES = {"add": "green", "change": "yellow", "remove": "red", "reject": "red"}


@click.command("plan")
@click.option(
    "--against",
    type=click.Path(),
    multiple=True,
    help="The configuration that runs now, such as that of the last release.",
)
@attach.option
@click.pass_obj
def command(terminal: Terminal, against: tuple[str, ...], directory: Path | None) -> None:
    """Show what the configuration would change where another one runs.

    With --against it is compared with a configuration in files, with --attach live processes are
    asked what they would change if they read theirs again. Names the tenants that would be added,
    changed, removed, or rejected because their new settings are wrong. Ends with 1 where some are.
    """
    if bool(against) == (directory is not None):
        raise click.UsageError("say what to compare with: either --against CONFIG or --attach DIR")
    if directory is not None:
        rows = _live(terminal, directory)
    else:
        rows = [Row(None, *row) for row in _compared(terminal, against)]
    show(terminal, rows)
    sys.exit(exits.PROBLEMS if any(row.change == "reject" for row in rows) else exits.OK)


@dataclass(frozen=True, slots=True)
class Row:
    """One change of one tenant, in one process; None is no live one. `change` "" is no change."""

    pid: int | None
    change: str
    tenant: str
    what: list[str]

    def cells(self) -> tuple[str, ...]:
        pid = () if self.pid is None else (str(self.pid),)
        return (*pid, self.change, self.tenant, ", ".join(self.what) or "-")


def show(terminal: Terminal, rows: list[Row]) -> None:
    """Print changes; says so where there are none."""
    changes = [row for row in rows if row.change]
    if terminal.as_json:
        terminal.data([asdict(row) for row in changes])
        return
    pids = {row.pid for row in rows if row.pid is not None}
    terminal.standing(pids)
    if not changes:
        terminal.line("no changes")
        return
    columns = (*(("pid",) if pids else ()), "change", "tenant", "what")
    styles = [STYLES[row.change] for row in changes]
    terminal.table(columns, [row.cells() for row in changes], styles=styles, right=("pid",))


# -- live processes -------------------------------------------------------------------------------


def _live(terminal: Terminal, directory: Path) -> list[Row]:
    """Ask what a reload would change; a process that would change nothing has a row that says so.

    Where a configuration cannot be used no process would take it: that ends the command.
    """
    answers = attach.ask(terminal, directory, "plan")
    for pid, (_, message) in answers.refused.items():
        terminal.warn(f"pid {pid}: {message}")
    if answers.refused:
        sys.exit(exits.CONFIGURATION)
    return [row for pid, change in answers.given.items() for row in _rows_of(pid, change)]


def _rows_of(pid: int, change: Mapping[str, Any]) -> list[Row]:
    rejected = change["rejected"]
    kinds = {"add": "added", "change": "changed", "remove": "removed"}
    rows = [
        Row(pid, kind, name, [])
        for kind, key in kinds.items()
        for name in change[key]
        if name not in rejected
    ]
    rows += [
        Row(pid, "reject", name, list(map(_worded, problems)))
        for name, problems in rejected.items()
    ]
    return rows or [Row(pid, "", "", [])]


def _worded(problem: Mapping[str, str]) -> str:
    where = (problem["site"], problem["message"].splitlines()[0])
    return ": ".join(filter(None, where))


# -- two configurations ---------------------------------------------------------------------------


def _compared(terminal: Terminal, against: tuple[str, ...]) -> Iterator[tuple[str, str, list[str]]]:
    from tenantry.cli.fresh import opening_of

    before = opening_of(terminal, list(against)).read()
    after = opening_of(terminal).read()
    return _rows(_change(before, after), before, after)


def _change(before: Configuration, after: Configuration) -> CatalogChange:
    from tenantry.catalog import Snapshot

    then = Snapshot(before.tenants, before.quarantined)
    return Snapshot(after.tenants, after.quarantined).after(then, after.disabled).change_from(then)


def _rows(
    change: CatalogChange, before: Configuration, after: Configuration
) -> Iterator[tuple[str, str, list[str]]]:
    for name in change.added:
        if name not in change.rejected:
            yield "add", name, []
    for name in change.changed:
        if name not in change.rejected:
            yield "change", name, _different(before.tenants.get(name), after.tenants[name])
    for name in change.removed:
        yield "remove", name, []
    for name, problems in change.rejected.items():
        yield "reject", name, [str(problem).splitlines()[0] for problem in problems]


def _different(before: Tenant | None, after: Tenant) -> list[str]:
    """Return the settings that are others, by name: their values may be secrets."""
    if before is None:
        return ["served again"]
    then, now = ({"": each.settings, **each.endpoints} for each in (before, after))
    return sorted(
        f"endpoints.{endpoint}.{key}" if endpoint else key
        for endpoint in then.keys() | now.keys()
        for key in _unequal(then.get(endpoint), now.get(endpoint))
    )


def _unequal(before: Any, after: Any) -> list[str]:
    fields = type(after or before).model_fields
    return [key for key in fields if getattr(before, key, None) != getattr(after, key, None)]
