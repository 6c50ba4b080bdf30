"""`tenantry init`: a configuration to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from tenantry.cli.terminal import Terminal

FILE = "config/tenants.yaml"
PROVIDERS = ("openai", "azure")
SOURCES = ("env", "file", "vault", "entra")


@click.command("init")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option(
    "--provider", type=click.Choice(PROVIDERS), default="openai", show_default=True, help="Whose."
)
@click.option(
    "--source",
    type=click.Choice(SOURCES),
    default="env",
    show_default=True,
    help="Where the keys come from; entra gives tokens, for azure.",
)
@click.pass_obj
def command(terminal: Terminal, file: Path | None, provider: str, source: str) -> None:
    """Write a commented configuration to FILE, config/tenants.yaml unless said.

    It loads as it is. What stands there already is never overwritten.
    """
    from tenantry.cli.template import configuration

    if source == "entra" and provider != "azure":
        raise click.UsageError("Entra ID's tokens are for azure: say --provider azure, too")
    target = file or Path(terminal.config[0] if terminal.config else FILE)
    _write(target, configuration(provider, source))
    _tell(terminal, target)


def _write(file: Path, text: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError:
        raise click.UsageError(f"{file} exists: say another FILE, or remove it") from None
    except OSError as error:
        raise click.UsageError(f"{file} cannot be written: {error.strerror}") from None


def _tell(terminal: Terminal, file: Path) -> None:
    if terminal.as_json:
        terminal.data({"file": str(file)})
    else:
        terminal.line(str(file))
    steps = (
        f"tenantry schema --output {file.with_name('tenantry.schema.json')}",
        f"tenantry check --config {file}",
        f"tenantry ping --config {file}",
    )
    for step in steps:
        terminal.note(f"next: {step}")
