"""`tenantry check`: what is wrong with the configuration, and where."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from tenantry.cli import exits
from tenantry.cli.terminal import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tenantry.cli.findings import Findings
    from tenantry.cli.terminal import Terminal
    from tenantry.errors import Problem


@click.command("check")
@click.option(
    "--strict", is_flag=True, help="Fail on warnings, and where `allow` is wider than {tenant}."
)
@click.pass_obj
def command(terminal: Terminal, *, strict: bool) -> None:
    """Find what is wrong with the configuration, and say where.

    Reads files and variables, no secrets, and asks nobody. Ends with 1 where something is wrong,
    and with 3 where there is nothing that could be read.
    """
    from tenantry.cli.findings import findings
    from tenantry.cli.fresh import opening_of

    found = findings(opening_of(terminal), strict=strict)
    if terminal.as_json:
        terminal.data(_as_dict(found))
    else:
        show(terminal, found.problems, fg="red")
        show(terminal, found.warnings, word="warning: ", fg="yellow")
        terminal.note(_summary(found))
    failed = found.problems or (strict and found.warnings)
    sys.exit(exits.PROBLEMS if failed else exits.OK)


def show(terminal: Terminal, problems: Iterable[Problem], *, word: str = "", fg: str) -> None:
    """Print problems: where each is in colour, and what belongs to it below."""
    for problem in problems:
        where = ": ".join(str(part) for part in (problem.site, problem.path) if part)
        head = f"{where}: " if where else ""
        told, *below = str(problem).removeprefix(head).splitlines()
        terminal.prose(head, f"{word}{told}", fg=fg)
        for line in below:
            terminal.line(line)


def _summary(found: Findings) -> str:
    tenants = "" if found.tenants is None else f"{counted(found.tenants, 'tenant')}, "
    if found.tenants is None and not found.problems:
        tenants = "tenants in a database are not looked at, "
    warnings = f", {counted(len(found.warnings), 'warning')}" if found.warnings else ""
    return f"{tenants}{counted(len(found.problems), 'problem')}{warnings}"


def _as_dict(found: Findings) -> dict[str, Any]:
    return {
        "tenants": found.tenants,
        "problems": list(map(as_dict, found.problems)),
        "warnings": list(map(as_dict, found.warnings)),
    }


def as_dict(problem: Problem) -> dict[str, Any]:
    """Return a problem as JSON has it."""
    site = problem.site
    return {
        "file": site.file if site else None,
        "line": site.line or None if site else None,
        "column": site.column or None if site else None,
        "path": problem.path,
        "message": problem.message,
        "hint": problem.hint,
        "excerpt": problem.excerpt,
    }
