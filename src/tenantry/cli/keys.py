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
STYLES = {"fresh": "", "stale": "yellow", "expired": "red"}
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


@command.command("status")
@click.argument("tenants", nargs=-1, metavar="[TENANT]...", shell_complete=names)
@attach.option
@click.pass_obj
def status(terminal: Terminal, tenants: tuple[str, ...], attach: Path | None) -> None:
    """Show the version, the fingerprint and the age of each secret of each TENANT.

    Without --attach this process fetches them itself, and shows what it got. Ends with 4 where a
    tenant has no usable secret.
    """
    found = _fetched(terminal, tenants) if attach is None else _asked(terminal, attach, tenants)
    rows = [row for pid, statuses in found.items() for row in _rows(pid, statuses)]
    if terminal.as_json:
        terminal.data(rows)
    else:
        terminal.standing([pid for pid in found if pid])
        _show(terminal, rows)
    sys.exit(exits.UPSTREAM if any(row["freshness"] == "expired" for row in rows) else exits.OK)


@command.command("refresh")
@click.argument("tenant", shell_complete=names)
@click.option("--drop-previous", is_flag=True, help="Let no older value serve again: it leaked.")
@attach.option
@click.pass_obj
def refresh(terminal: Terminal, tenant: str, *, drop_previous: bool, attach: Path | None) -> None:
    """Have live processes fetch the TENANT's secrets now."""
    _act(terminal, attach, "refresh", "refreshed", tenant=tenant, drop_previous=drop_previous)


@command.command("pin")
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
def pin(terminal: Terminal, /, tenant: str, attach: Path | None, **said: Any) -> None:
    """Let one version of the TENANT's secret serve for a while, in live processes.

    The pin is held in their memory and ends by itself; a restart ends it, too. Tenants that share
    the secret are served it, too.
    """
    _act(terminal, attach, "pin", f"pinned to version {said['version']}", tenant=tenant, **said)


@command.command("unpin")
@click.argument("tenant", shell_complete=names)
@attach.option
@click.pass_obj
def unpin(terminal: Terminal, tenant: str, attach: Path | None) -> None:
    """Let the newest version of the TENANT's secrets serve again, in live processes."""
    _act(terminal, attach, "unpin", "not pinned any more", tenant=tenant)


@command.command("fingerprint")
@click.argument("key", metavar="-", type=click.Choice(["-"]))
@attach.option
@click.pass_obj
def fingerprint(terminal: Terminal, key: str, attach: Path | None) -> None:
    """Read a key on standard input, and print the fingerprint that `status` would show for it.

    Fingerprints compare under one key only: the one that `registry.fingerprint_key` names, else
    that of each live process, which --attach asks.
    """
    del key  # an argument would be seen by whoever lists processes
    value = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    if attach is None:
        terminal.line(_own_fingerprint(terminal, value))
        return
    _report(terminal, _ask(terminal, attach, "fingerprint", value=value), str)


# -- what is known --------------------------------------------------------------------------------


def _asked(terminal: Terminal, directory: Path, tenants: Iterable[str]) -> dict[int, list[Any]]:
    """Return the statuses that live processes tell, by process."""
    found: dict[int, list[Any]] = {}
    for name in list(tenants) or [""]:
        answers = _ask(terminal, directory, "status", tenant=name)
        for pid, statuses in answers.given.items():
            found.setdefault(pid, []).extend(statuses)
        for pid, (_, message) in answers.refused.items():
            terminal.warn(f"pid {pid}: {message}")
        if not answers.given:
            sys.exit(_code(answers))
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
    columns = (*(("pid",) if live else ()), *COLUMNS, "last error")
    cells = [((str(row["pid"]),) if live else ()) + _cells(row) for row in rows]
    styles = ["yellow" if row["pinned_for"] else STYLES[row["freshness"]] for row in rows]
    terminal.table(columns, cells, styles=styles, right=("pid", "age", "next"))


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    pinned = row["pinned_for"]
    words = (
        row["tenant"],
        row["setting"],
        row["source"],
        row["version"],
        row["fingerprint"],
        row["freshness"] if pinned is None else f"pinned for {_span(pinned)}",
        _span(row["age"]),
        _span(row["next_refresh"]),
        row["last_error"],
    )
    return tuple(word or "-" for word in words)


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
    answers = _ask(terminal, attach.needed(directory, verb), verb, **said)
    _report(terminal, answers, lambda _: done)


def _ask(terminal: Terminal, directory: Path, verb: str, **said: Any) -> Answers:
    return attach.ask(terminal, directory, verb, **said)


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
    sys.exit(_code(answers))


def _code(answers: Answers) -> int:
    if {kind for kind, _ in answers.refused.values()} & {"UnknownTenantError", "RequestError"}:
        return exits.USAGE
    return exits.UPSTREAM if answers.refused or answers.silent else exits.OK
