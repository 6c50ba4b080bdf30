"""Asking live processes: all whose control sockets stand in the directory of `--attach`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tenantry.cli import exits
from tenantry.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Mapping

    from tenantry.cli.terminal import Terminal
    from tenantry.control import Answers

Row = TypeVar("Row", bound="Hashable")

_USAGE = {"UnknownTenantError", "UnknownEndpointError", "RequestError"}
_CONFIGURATION = {"ConfigError", "TenantQuarantinedError", "TenantDisabledError"}

option = click.option(
    "--attach",
    "directory",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Ask the live processes whose control sockets are in DIR (`registry: {control: DIR}`).",
)


def ask(terminal: Terminal, directory: Path, verb: str, **said: Any) -> Answers:
    """Ask all live processes, and tell of those that say nothing; where there is none, end.

    Raises:
        click.BadParameter: the directory is not there, or is not this user's alone.
    """
    from tenantry.control import ask_all

    try:
        answers = ask_all(directory, {"verb": verb, **said})
    except ConfigError as error:
        [problem] = error.problems
        message = f"{problem.message}\n{problem.hint}"
        raise click.BadParameter(message, param_hint="'--attach'") from None
    for pid in answers.dead:
        terminal.note(f"pid {pid} is gone; its socket was removed")
    for pid, reason in answers.silent.items():
        terminal.warn(f"pid {pid} does not answer: {reason}")
    if not (answers.given or answers.refused):
        terminal.warn(f"no live process answers in {directory}")
        sys.exit(exits.PROBLEMS)
    return answers


def ask_pages(terminal: Terminal, directory: Path, verb: str) -> dict[int, list[Any]]:
    """Ask for one page after another, and return by process what they told of each tenant.

    Each page begins behind the last name that every process told of.
    """
    found: dict[int, dict[str, Any]] = {}
    after, last = "", ask(terminal, directory, verb)
    refuse(terminal, last)
    while True:
        pages = {pid: page for pid, page in last.given.items() if page}
        for pid in last.given:
            found.setdefault(pid, {}).update((each["name"], each) for each in pages.get(pid, ()))
        ends = [page[-1]["name"] for page in pages.values()]
        if not ends or min(ends) <= after:
            return {pid: list(told.values()) for pid, told in found.items()}
        after = min(ends)
        last = ask(terminal, directory, verb, after=after)


def refuse(terminal: Terminal, answers: Answers) -> None:
    """Tell of those that refused to answer; where nobody answered, end."""
    for pid, (kind, message) in answers.refused.items():
        terminal.warn(f"pid {pid}: {message or kind}")
    if not answers.given:
        sys.exit(code(answers))


def code(answers: Answers) -> int:
    """Return the exit code of what came of a request."""
    refused = {kind for kind, _ in answers.refused.values()}
    if refused & _USAGE:
        return exits.USAGE
    if refused & _CONFIGURATION:
        return exits.CONFIGURATION
    return exits.UPSTREAM if refused or answers.silent else exits.OK


def united(told: Mapping[int, Iterable[Row]]) -> dict[Row, list[int]]:
    """Return what processes told, each once, with the processes that did."""
    found: dict[Row, list[int]] = {}
    for pid, rows in sorted(told.items()):
        for row in rows:
            found.setdefault(row, []).append(pid)
    return found


def of_whom(told: Mapping[Any, list[int]], pids: Collection[int]) -> list[tuple[str, ...]]:
    """Return a cell for each that was told, of the processes that did; none where all tell all."""
    if all(len(each) == len(pids) for each in told.values()):
        return [() for _ in told]
    return [("all" if len(each) == len(pids) else _listed(each),) for each in told.values()]


def _listed(pids: Iterable[int]) -> str:
    return ", ".join(map(str, pids))


def needed(directory: Path | None, verb: str) -> Path:
    """Return the directory of `--attach`, for what makes no sense without.

    Raises:
        click.UsageError: it was not said.
    """
    if directory is None:
        message = (
            f"`keys {verb}` acts on live processes only: say --attach DIR,\n"
            "the directory that `registry: {control: DIR}` names in their configuration"
        )
        raise click.UsageError(message)
    return directory
