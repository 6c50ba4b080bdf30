"""`tenantry doctor`: is there everything that a request needs?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from tenantry.cli import exits

if TYPE_CHECKING:
    from tenantry.cli.diagnosis import Finding
    from tenantry.cli.terminal import Terminal

MARKS = {"ok": "green", "warn": "yellow", "FAIL": "red"}
MARGIN = 6


@click.command("doctor")
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 120),
    default=5.0,
    show_default=True,
    help="Seconds for each address.",
)
@click.pass_obj
def command(terminal: Terminal, timeout: float) -> None:
    """Look at everything that a request needs, and say of each fault what to do.

    Reads the configuration, says which versions are installed and what they can do, looks whom TLS
    trusts, logs in to each source, and asks each address for its certificate and the time. Sends
    no secret but to the sources. Ends with 1 where something is wrong.
    """
    from tenantry.cli.diagnosis import diagnosis

    if not terminal.as_json:
        terminal.standing()
    found: list[Finding] = []
    for finding in diagnosis(terminal, timeout):
        found.append(finding)
        if not terminal.as_json:
            show(terminal, finding)
    if terminal.as_json:
        terminal.data([finding.as_dict() for finding in found])
    sys.exit(exits.PROBLEMS if any(each.mark == "FAIL" for each in found) else exits.OK)


def show(terminal: Terminal, finding: Finding) -> None:
    """Print one finding, and below it what to do."""
    told = f"{finding.subject}: {finding.told}"
    terminal.prose(f"{finding.mark:{MARGIN}}", told, indent=MARGIN, fg=MARKS[finding.mark])
    if finding.step:
        terminal.prose(" " * MARGIN, f"next: {finding.step}", indent=MARGIN + 6)
