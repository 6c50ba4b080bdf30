"""`tenantry completion`: what completes commands in a shell."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_TENANTRY_COMPLETE"


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print what completes commands and options in a SHELL.

    For bash: tenantry completion bash > ~/.local/share/bash-completion/completions/tenantry
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    root = click.get_current_context().find_root().command
    if kind is not None:  # it is one of click's own
        click.echo(kind(root, {}, "tenantry", VARIABLE).source())
