"""Asking live processes: all whose control sockets stand in the directory of `--attach`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tenantry.cli import exits

if TYPE_CHECKING:
    from tenantry.cli.terminal import Terminal
    from tenantry.control import Answers

option = click.option(
    "--attach",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Ask the live processes whose control sockets are in DIR (`registry: {control: DIR}`).",
)


def ask(terminal: Terminal, directory: Path, verb: str, **said: Any) -> Answers:
    """Ask all live processes, and tell of those that say nothing; where there is none, end.

    Raises:
        ConfigError: the directory is not there, or is not this user's alone.
    """
    from tenantry.control import ask_all

    answers = ask_all(directory, {"verb": verb, **said})
    for pid in answers.dead:
        terminal.note(f"pid {pid} is gone; its socket was removed")
    for pid, reason in answers.silent.items():
        terminal.warn(f"pid {pid} does not answer: {reason}")
    if not (answers.given or answers.refused):
        terminal.warn(f"no live process answers in {directory}")
        sys.exit(exits.PROBLEMS)
    return answers


def needed(directory: Path | None, verb: str) -> Path:
    """Return the directory of `--attach`, for what makes no sense without.

    Raises:
        click.UsageError: it was not said.
    """
    if directory is None:
        message = (
            f"`keys {verb}` acts on live processes only: say --attach DIR, the directory that"
            " `registry: {control: DIR}` names in their configuration"
        )
        raise click.UsageError(message)
    return directory
