"""How the demo shows itself: a live table on a terminal, lines elsewhere, or JSON at the end."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol, Self

import click

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from tenantry.cli.demo.tally import Row, Tally
    from tenantry.cli.terminal import Terminal

COLUMNS = ("tenant", "provider", "source", "key version", "requests", "replayed", "failed")
WIDTH = 80


class Screen(Protocol):
    """Shows the demo from entering to leaving it."""

    def show(self, tally: Tally) -> None:
        """Show the state of the moment."""

    def finish(self, tally: Tally) -> None:
        """Show the result."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *exc_info: object) -> None: ...


def screen(terminal: Terminal) -> Screen:
    """Choose how to show the demo on this standard output."""
    if terminal.as_json:
        return JsonScreen()
    if terminal.drawn and find_spec("rich"):
        return LiveScreen(colored=terminal.colored)
    return PlainScreen(terminal)


class _Screen:
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Nothing to put back."""


class JsonScreen(_Screen):
    """Prints the result as one JSON object."""

    def show(self, tally: Tally) -> None:
        """A program waits for the result only."""

    def finish(self, tally: Tally) -> None:
        click.echo(json.dumps(tally.as_dict(), indent=2))


class PlainScreen(_Screen):
    """Notes a line about once a second, and prints the table at the end: for logs."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._next = 1.0

    def show(self, tally: Tally) -> None:
        if tally.seconds >= self._next:
            self._next = tally.seconds + 1.0
            self._terminal.note(_line(tally))

    def finish(self, tally: Tally) -> None:
        click.echo(_line(tally))
        click.echo("")
        click.echo(_plain(COLUMNS))
        for row in tally.rows:
            click.echo(_plain(_cells(row)))
        click.echo("")
        click.echo(verdict(tally))


class LiveScreen(_Screen):
    """A table that is drawn anew a few times a second, cut to the height of the terminal."""

    def __init__(self, *, colored: bool = True) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(width=min(WIDTH, Console().width), no_color=not colored)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._live.stop()

    def show(self, tally: Tally) -> None:
        # Title, head, rules, the line below and the prompt take nine lines.
        rows = tally.rows[: max(1, self._console.height - 9)]
        self._live.update(self._drawn(tally, rows), refresh=True)

    def finish(self, tally: Tally) -> None:
        self._live.stop()
        self._console.print(self._drawn(tally, tally.rows))
        style = "green" if tally.passed else "bold red"
        self._console.print(verdict(tally), style=style, highlight=False)

    def _drawn(self, tally: Tally, rows: tuple[Row, ...]) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        table = _table(rows)
        hidden = len(tally.rows) - len(rows)
        more = Text(f"and {hidden} more tenants" if hidden else "", style="dim")
        return (
            Group(table, more, Text(_line(tally))) if hidden else Group(table, Text(_line(tally)))
        )


def _table(rows: tuple[Row, ...]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, title_justify="left")
    for column in COLUMNS:
        table.add_column(column, justify="right" if column in _NUMERIC else "left")
    for row in rows:
        style = "red" if row.failed else ""
        table.add_row(*_cells(row), style=style)
    return table


_NUMERIC = frozenset({"requests", "replayed", "failed"})
_WIDTHS = (14, 9, 8, 11, 10, 10, 8)


def _cells(row: Row) -> tuple[str, ...]:
    version = f"v{row.version}" if row.version else "-"
    counts = (row.requests, row.replayed, row.failed)
    return (row.tenant, row.provider, row.source, version, *map(str, counts))


def _plain(cells: tuple[str, ...]) -> str:
    placed = (
        cell.rjust(width) if column in _NUMERIC else cell.ljust(width)
        for cell, column, width in zip(cells, COLUMNS, _WIDTHS, strict=True)
    )
    return " ".join(placed).rstrip()


def _line(tally: Tally) -> str:
    return (
        f"{tally.seconds:5.1f} s  {tally.requests:6} requests  {tally.rotations:3} rotations"
        f"  {tally.replayed:4} replayed  {tally.failed:3} failed"
    )


def verdict(tally: Tally) -> str:
    """Say in a sentence how it went."""
    if tally.passed:
        return (
            f"{len(tally.rows)} tenants, {tally.rotations} keys rotated and revoked:"
            " no request failed, no key crossed."
        )
    faults = [f"{tally.failed} requests failed", f"{tally.crossed} keys crossed"]
    return "\n".join([", ".join(faults), *tally.failures])
