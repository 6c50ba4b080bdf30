"""The demo's options; what it runs is imported when it runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from tenantry.cli import exits

if TYPE_CHECKING:
    from tenantry.cli.terminal import Terminal


@click.command("demo")
@click.option(
    "--seconds", type=click.FloatRange(1, 600), default=10.0, show_default=True, help="How long."
)
@click.option(
    "--tenants", type=click.IntRange(6, 240), default=24, show_default=True, help="How many."
)
@click.pass_obj
def command(terminal: Terminal, seconds: float, tenants: int) -> None:
    """Run the main job on embedded servers: no account, no network.

    Starts an OpenAI, a Vault and an Entra ID on loopback, configures tenants on them, sends
    requests for all of them at once, and rotates and revokes their keys meanwhile. Ends with 0
    only where no request failed.
    """
    from tenantry.cli.demo.run import run

    passed = run(terminal, seconds=seconds, tenants=tenants)
    sys.exit(exits.OK if passed else exits.PROBLEMS)
