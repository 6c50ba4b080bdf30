"""`tenantry show`: every setting of a tenant, and where it was said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tenantry.cli.names import names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenantry.cli.terminal import Terminal
    from tenantry.loading import Setting

DEFAULT = "default"


@click.command("show")
@click.argument("tenant", shell_complete=names)
@click.option("--endpoint", help="Only this endpoint of it; its own address and all unless said.")
@click.option("--said", is_flag=True, help="Only what somebody said, without what is by default.")
@click.pass_obj
def command(terminal: Terminal, tenant: str, endpoint: str | None, *, said: bool) -> None:
    """Show every setting of a TENANT: its value without secrets, and where it was said.

    Reads files and variables, no secrets, and asks nobody.
    """
    from tenantry.cli.fresh import fresh
    from tenantry.loading import explain

    with fresh(terminal) as read:
        found = read.catalog.get(tenant)
    found.at(endpoint)
    parts = ["", *found.endpoints] if endpoint is None else [endpoint]
    settings = {name: _wanted(explain(found, name), said=said) for name in parts}
    if terminal.as_json:
        terminal.data({name: [_as_dict(each) for each in settings[name]] for name in parts})
        return
    terminal.standing()
    for name in parts:
        terminal.line(f"\n{tenant}, endpoint {name}" if name else f"\n{tenant}", bold=True)
        _show(terminal, settings[name])


def _wanted(settings: Sequence[Setting], *, said: bool) -> list[Setting]:
    return [each for each in settings if not said or each.origin != DEFAULT]


def _show(terminal: Terminal, settings: Sequence[Setting]) -> None:
    rows = [(each.name, each.value, each.origin) for each in settings]
    styles = ["dim" if each.origin == DEFAULT else "" for each in settings]
    terminal.table(("setting", "value", "origin"), rows, styles=styles)


def _as_dict(setting: Setting) -> dict[str, str]:
    return {"setting": setting.name, "value": setting.value, "origin": setting.origin}
