"""`tenantry keys`: which version of which secret serves, and what to do about it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from tenantry.cli import attach, exits
from tenantry.cli.names import names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from tenantry.cli.terminal import Terminal
    from tenantry.control import Answers

COLUMNS = ("tenant", "setting", "source", "version", "fingerprint", "state", "age", "next")
UNUSED = "unused"
PINNED = "pinned"
STYLES = {"fresh": "", "stale": "yellow", "expired": "red", UNUSED: "dim", PINNED: "yellow"}
_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60))


def _duration(_ctx: click.Context, _param: click.Parameter, value: str) -> float:
    """Read a duration as the configuration does."""
    from pydantic_core import PydanticCustomError

    from tenantry.settings.base import seconds

    try:
        return seconds(value)
    except PydanticCustomError as error:
        raise click.BadParameter(f"{value!r} {error.message()}") from None


@click.group("keys")
def command() -> None:
    """Look at the secrets that tenants are served with, and change which serves.

    No secret is shown: a fingerprint tells one from another.
    """


@command.command("status", short_help="show which secrets serve")
@click.argument("tenants", nargs=-1, metavar="[TENANT]...", shell_complete=names)
@attach.option
@click.pass_obj
def status(terminal: Terminal, tenants: tuple[str, ...], directory: Path | None) -> None:
    """Show the version, the fingerprint and the age of each secret of each TENANT.

    With --attach it shows those that live processes hold, unless TENANTs are named of all for whom
    they wanted one; else this process fetches them itself, and shows what it got. Ends with 4 where
    a tenant has no usable secret.
    """
    found = (
        _fetched(terminal, tenants) if directory is None else _asked(terminal, directory, tenants)
    )
    rows = [row for pid, statuses in found.items() for row in _rows(pid, statuses)]
    if terminal.as_json:
        terminal.data(rows)
    else:
        terminal.standing([pid for pid in found if pid])
        _show(terminal, rows)
    sys.exit(exits.UPSTREAM if any(_state(row) == "expired" for row in rows) else exits.OK)


@command.command("refresh", short_help="fetch secrets now")
@click.argument("tenant", shell_complete=names)
@click.option("--drop-previous", is_flag=True, help="Let no older value serve again: it leaked.")
@attach.option
@click.pass_obj
def refresh(
    terminal: Terminal, tenant: str, *, drop_previous: bool, directory: Path | None
) -> None:
    """Have live processes fetch the TENANT's secrets now."""
    _act(terminal, directory, "refresh", "refreshed", tenant=tenant, drop_previous=drop_previous)


@command.command("pin", short_help="let one version serve for a while")
@click.argument("tenant", shell_complete=names)
@click.option("--version", required=True, help="The version, as its source calls it.")
@click.option(
    "--for",
    "seconds",
    required=True,
    metavar="DURATION",
    callback=_duration,
    help="How long, such as 90s, 30m or 2h; a week at most.",
)
@click.option("--setting", default="", help="Which of its credentials; `api_key` unless said.")
@attach.option
@click.pass_obj
def pin(terminal: Terminal, /, tenant: str, directory: Path | None, **said: Any) -> None:
    """Let one version of the TENANT's secret serve for a while, in live processes.

    The pin is held in their memory and ends by itself; a restart ends it, too. Tenants that share
    the secret are served it, too.
    """
    _act(terminal, directory, "pin", f"pinned to version {said['version']}", tenant=tenant, **said)


@command.command("unpin", short_help="let the newest version serve again")
@click.argument("tenant", shell_complete=names)
@attach.option
@click.pass_obj
def unpin(terminal: Terminal, tenant: str, directory: Path | None) -> None:
    """Let the newest version of the TENANT's secrets serve again, in live processes."""
    _act(terminal, directory, "unpin", "not pinned any more", tenant=tenant)


@command.command("fingerprint", short_help="print the fingerprint of a key")
@click.argument("key", metavar="-", type=click.Choice(["-"]))
@attach.option
@click.pass_obj
def fingerprint(terminal: Terminal, key: str, directory: Path | None) -> None:
    """Read a key on standard input, and print the fingerprint that `status` would show for it.

    Fingerprints compare under one key only: the one that `registry.fingerprint_key` names, else
    that of each live process, which --attach asks.
    """
    del key  # an argument would be seen by whoever lists processes
    value = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    if directory is None:
        terminal.line(_own_fingerprint(terminal, value))
        return
    _report(terminal, attach.ask(terminal, directory, "fingerprint", value=value), str)


# -- what is known --------------------------------------------------------------------------------


def _asked(terminal: Terminal, directory: Path, tenants: Iterable[str]) -> dict[int, list[Any]]:
    """Return the statuses that live processes tell, by process."""
    found: dict[int, list[Any]] = {} if tenants else attach.ask_pages(terminal, directory, "status")
    for name in tenants:
        answers = attach.ask(terminal, directory, "status", tenant=name)
        attach.refuse(terminal, answers)
        for pid, statuses in answers.given.items():
            found.setdefault(pid, []).extend(statuses)
    return found


def _fetched(terminal: Terminal, tenants: tuple[str, ...]) -> dict[int, list[Any]]:
    """Fetch tenants' secrets in this process, and return their statuses; 0 stands for it."""
    from tenantry.cli.fresh import fresh
    from tenantry.control.verbs import plain

    read = fresh(terminal)
    wanted = tenants or tuple(read.served())
    with read.registry() as registry:
        registry.warm(wanted)
        return {0: [plain(registry.status(name)) for name in wanted]}


def _rows(pid: int, statuses: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for tenant in statuses:
        for credential in tenant["credentials"]:
            yield {"pid": pid or None, "tenant": tenant["name"], **credential}


def _show(terminal: Terminal, rows: list[dict[str, Any]]) -> None:
    live = any(row["pid"] for row in rows)
    if not rows:
        terminal.line("no secret was wanted yet")
        return
    columns = (*(("pid",) if live else ()), *COLUMNS)
    cells = [((str(row["pid"]),) if live else ()) + _cells(row) for row in rows]
    styles = [STYLES[_state(row)] for row in rows]
    terminal.table(columns, cells, styles=styles, right=("pid", "age", "next"))
    _show_errors(terminal, rows)


def _show_errors(terminal: Terminal, rows: Iterable[Mapping[str, Any]]) -> None:
    """Print why fetching failed; what several processes say is said once."""
    said: dict[int, list[tuple[str, str]]] = {}
    for row in rows:
        told = said.setdefault(row["pid"] or 0, [])
        if row["last_error"]:
            told.append((f"{row['tenant']} {row['setting']}: ", row["last_error"]))
    found = attach.united(said)
    for whose, (head, error) in zip(attach.of_whom(found, said), found, strict=True):
        terminal.prose("".join(f"pid {pids}, " for pids in whose) + head, error)


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    next_ = row["next_refresh"] if row["pinned_for"] is None else row["pinned_for"]
    words = (
        row["tenant"],
        row["setting"],
        row["source"],
        row["version"],
        row["fingerprint"],
        _state(row),
        _span(row["age"]),
        _span(next_),
    )
    return tuple(word or "-" for word in words)


def _state(row: Mapping[str, Any]) -> str:
    """Return how a secret stands; that nobody wanted it yet is no fault."""
    if row["pinned_for"] is not None:
        return PINNED
    wanted = row["age"] is not None or row["last_error"]
    return str(row["freshness"]) if wanted else UNUSED


def _span(seconds: float | None) -> str:
    """Return a time as people say it, in its two largest units."""
    if seconds is None:
        return ""
    for position, (unit, size) in enumerate(_UNITS):
        if seconds >= size:
            below, width = (*_UNITS, ("s", 1))[position + 1]
            rest = int(seconds % size // width)
            return f"{int(seconds // size)}{unit}" + (f"{rest}{below}" if rest else "")
    return f"{int(seconds)}s"


def _own_fingerprint(terminal: Terminal, value: str) -> str:
    from tenantry.cli.fresh import fresh
    from tenantry.secret import Secret

    read = fresh(terminal)
    if read.configuration.registry.fingerprint_key is None:
        message = (
            "each process makes fingerprints of its own: say `registry: {fingerprint_key: ...}` in"
            " the configuration, or --attach DIR to ask live processes"
        )
        raise click.UsageError(message)
    with read.registry():
        found = Secret(value).fingerprint
    if not found:
        terminal.warn("the secret that registry.fingerprint_key names cannot be had")
        sys.exit(exits.UPSTREAM)
    return found


# -- what is done ---------------------------------------------------------------------------------


def _act(terminal: Terminal, directory: Path | None, verb: str, done: str, **said: Any) -> None:
    answers = attach.ask(terminal, attach.needed(directory, verb), verb, **said)
    _report(terminal, answers, lambda _: done)


def _report(terminal: Terminal, answers: Answers, worded: Callable[[Any], str]) -> None:
    """Print what came of it in each process, and end."""
    results = {pid: worded(told) for pid, told in answers.given.items()}
    refused = {pid: message or kind for pid, (kind, message) in answers.refused.items()}
    pids = sorted({*results, *refused})
    if terminal.as_json:
        terminal.data(
            [{"pid": pid, "result": results.get(pid), "error": refused.get(pid)} for pid in pids]
        )
    else:
        terminal.standing(pids)
        rows = [(str(pid), results.get(pid) or refused[pid]) for pid in pids]
        styles = ["red" if pid in refused else "" for pid in pids]
        terminal.table(("pid", "result"), rows, styles=styles, right=("pid",))
    sys.exit(attach.code(answers))
