"""`tenantry catalog`: the tenants that a database keeps."""

from __future__ import annotations

import getpass
import os
import socket
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from tenantry.catalog.engine import Engine, HistoryEntry
    from tenantry.catalog.transfer import Difference
    from tenantry.cli.terminal import Terminal
    from tenantry.loading import Configuration

TIMEOUT = 30.0  # seconds for one answer of the database
STYLES = {"add": "green", "change": "yellow", "remove": "red"}
COLUMNS = ("revision", "when", "who", "what", "tenant")

who_option = click.option(
    "--who", default="", help="Who the history says it was; you, unless said."
)


@click.group("catalog")
def command() -> None:
    """Look after the tenants that a database keeps, as `catalog` in the configuration names it."""


@command.command("init", short_help="create the tables, or bring them to this version")
@click.pass_obj
def init(terminal: Terminal) -> None:
    """Create the tables, or bring them to this version; harms nothing that is there."""
    with _opened(terminal) as (engine, _):
        version = engine.prepare(TIMEOUT)
    _tell(terminal, f"tables of version {version} are there", {"version": version})


@command.command("import", short_help="put the tenants of files into the database")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Remove the tenants that PATHS do not name.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@who_option
@click.pass_obj
def import_(
    terminal: Terminal, paths: tuple[Path, ...], who: str, *, replace: bool, dry_run: bool
) -> None:
    """Put the tenants of files or directories into the database.

    Nothing is written where anything is wrong with one of them. Reads only what stands under
    `tenants`, as it stands there.
    """
    from tenantry.catalog.texts import FileTenants
    from tenantry.catalog.transfer import difference, problems_of, write

    files = FileTenants(paths)
    _check_not_empty(files.said, replace=replace)
    if files.others:
        terminal.note(f"not imported, it belongs to the configuration: {', '.join(files.others)}")
    with _opened(terminal) as (engine, configuration):
        with _progress(terminal, "checking", len(files.said)) as step:
            rows, origin = configuration.rows, engine.origin
            files.raise_any(problems_of(rows, files.said, origin, lambda: step(1)))
        change = difference(engine, files.said, replace=replace)
        if not dry_run:
            with _progress(terminal, "writing", len(change)) as step:
                write(engine, files.said, change, who or _you(), step)
    _show(terminal, change, dry_run=dry_run)


@command.command("export", short_help="write all tenants as a YAML file")
@click.option(
    "--output",
    type=click.File("w", encoding="utf-8", lazy=False, atomic=True),
    default="-",
    help="The file to write; standard output unless said.",
)
@click.pass_obj
def export(terminal: Terminal, output: TextIO) -> None:
    """Write all tenants as a YAML file, from which `import` makes the same again."""
    from tenantry.catalog.texts import HEAD, tenant_text
    from tenantry.catalog.transfer import all_rows

    with _opened(terminal) as (engine, _):
        count = engine.count(TIMEOUT)
        output.write(HEAD if count else f"{HEAD.strip()} {{}}\n")
        with _progress(terminal, "writing", count) as step:
            for row in all_rows(engine):
                output.write(tenant_text(row.name, row.said))
                step(1)


@command.command("put", short_help="add a tenant, or give one other settings")
@click.argument("name")
@click.option(
    "--file", type=click.File(encoding="utf-8"), default="-", help="The YAML; else standard input."
)
@who_option
@click.pass_obj
def put(terminal: Terminal, name: str, file: TextIO, who: str) -> None:
    """Add a tenant, or give one other settings: what would stand under its NAME in a file."""
    from tenantry.catalog.engine import Write, position
    from tenantry.catalog.texts import read_tenant

    said = read_tenant(file.read(), file.name, name)
    with _opened(terminal) as (engine, configuration):
        configuration.rows.read(name, said, position(engine.origin, name))
        revision = engine.write([Write(name, said)], who or _you(), TIMEOUT)
    _tell(terminal, f"{name} is put, revision {revision}", {"tenant": name, "revision": revision})


@command.command("remove", short_help="take a tenant away")
@click.argument("name")
@who_option
@click.pass_obj
def remove(terminal: Terminal, name: str, who: str) -> None:
    """Take a tenant away: every process shuts its gate."""
    from tenantry.catalog.engine import Write
    from tenantry.errors import UnknownTenantError

    with _opened(terminal) as (engine, _):
        if engine.row(name, TIMEOUT) is None:
            raise UnknownTenantError(name)
        revision = engine.write([Write(name, None)], who or _you(), TIMEOUT)
    text = f"{name} is removed, revision {revision}"
    _tell(terminal, text, {"tenant": name, "revision": revision})


@command.command("history", short_help="show who changed whom and when")
@click.argument("name", required=False)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="How many.")
@click.pass_obj
def history(terminal: Terminal, name: str | None, limit: int) -> None:
    """Show who changed whom and when, the latest first; with --json also what was said."""
    with _opened(terminal) as (engine, _):
        entries = engine.history(name, limit, TIMEOUT)
    if terminal.as_json:
        terminal.data([_as_dict(entry) for entry in entries])
    elif entries:
        terminal.table(COLUMNS, list(map(_cells, entries)), right={"revision"})
    else:
        terminal.line("no changes")


@contextmanager
def _opened(terminal: Terminal) -> Generator[tuple[Engine, Configuration]]:
    from tenantry.opening import open_engine

    with open_engine(list(terminal.config) or None, os.environ) as opened:
        yield opened


@contextmanager
def _progress(terminal: Terminal, label: str, length: int) -> Generator[Callable[[int], object]]:
    if not terminal.watched:
        yield lambda _: None
        return
    with click.progressbar(length=length, label=label, file=sys.stderr, width=0) as bar:
        yield bar.update


def _check_not_empty(said: Mapping[str, Any], *, replace: bool) -> None:
    if replace and not said:
        raise click.UsageError("PATHS name no tenant, and --replace would remove all there are")


def _you() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"


def _tell(terminal: Terminal, text: str, data: dict[str, Any]) -> None:
    if terminal.as_json:
        terminal.data(data)
    else:
        terminal.line(text)


def _show(terminal: Terminal, change: Difference, *, dry_run: bool) -> None:
    kinds = {"add": change.added, "change": change.changed, "remove": change.removed}
    if terminal.as_json:
        terminal.data({"dry_run": dry_run, **kinds})
        return
    rows = [(kind, name) for kind, names in kinds.items() for name in names]
    if dry_run and rows:
        styles = [STYLES[kind] for kind, _ in rows]
        terminal.table(("change", "tenant"), rows, styles=styles)
    numbers = zip(("added", "changed", "removed"), map(len, kinds.values()), strict=True)
    summary = ", ".join(f"{number} {what}" for what, number in numbers)
    terminal.note(f"{summary} (nothing is written)" if dry_run else summary)


def _cells(entry: HistoryEntry) -> tuple[str, ...]:
    when = entry.at.astimezone().isoformat(" ", "seconds")
    return str(entry.revision), when, entry.who, entry.operation, entry.name


def _as_dict(entry: HistoryEntry) -> dict[str, Any]:
    return {
        "revision": entry.revision,
        "when": entry.at.isoformat(),
        "who": entry.who,
        "what": entry.operation,
        "tenant": entry.name,
        "said": entry.said,
    }
