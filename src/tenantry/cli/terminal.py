"""What every command is told before its own options, and how it speaks to people and programs."""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

WIDTH = 80  # columns, where no terminal says how many it has
FRESH = "fresh process, not your service"


@dataclass(frozen=True, slots=True)
class Terminal:
    """One run of one command: where the configuration is, and how results are shown.

    Data goes to standard output; notes, warnings and progress go to standard error.
    """

    config: tuple[str, ...] = ()
    as_json: bool = False
    quiet: bool = False
    no_color: bool = False

    # -- where it shows ---------------------------------------------------------------------------

    @property
    def drawn(self) -> bool:
        """Whether somebody looks at standard output."""
        return not self.as_json and sys.stdout.isatty()

    @property
    def watched(self) -> bool:
        """Whether somebody may watch progress on standard error."""
        return not self.quiet and sys.stderr.isatty()

    @property
    def colored(self) -> bool:
        """Whether colours are wanted: https://no-color.org."""
        return not (self.no_color or os.environ.get("NO_COLOR"))

    @property
    def width(self) -> int:
        """How many columns there are."""
        return shutil.get_terminal_size((WIDTH, 24)).columns

    # -- data -------------------------------------------------------------------------------------

    def data(self, value: Any) -> None:
        """Print one JSON document."""
        click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))

    def line(self, text: str = "", **style: Any) -> None:
        """Print a line, in colour where colours are wanted."""
        click.echo(self.styled(text, **style), color=None if self.colored else False)

    def prose(self, head: str, text: str, *, indent: int = 4, **style: Any) -> None:
        """Print sentences after a head that has the style: folded on a terminal only."""
        whole, lines = f"{head}{' '.join(text.split())}", []
        if self.drawn:
            margin = " " * indent
            lines = textwrap.wrap(
                whole, self.width, subsequent_indent=margin, break_on_hyphens=False
            )
        first, *others = lines or [whole]
        self.line(self.styled(head, **style) + first.removeprefix(head))
        for line in others:
            self.line(line)

    def styled(self, text: str, **style: Any) -> str:
        """Return text as it is shown: in colour where colours are wanted."""
        return click.style(text, **style) if style and self.colored else text

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[str]],
        *,
        styles: Sequence[str] = (),
        right: Collection[str] = (),
    ) -> None:
        """Print a table: drawn on a terminal, elsewhere a line for each row, never cut.

        Args:
            columns: their heads.
            rows: of as many cells each.
            styles: the colour of each row, "" for none.
            right: columns that hold numbers.
        """
        from tenantry.cli.tables import Table

        table = Table(tuple(columns), rows, styles or [""] * len(rows), frozenset(right))
        table.show(width=self.width if self.drawn else None, colored=self.colored)

    # -- asides -----------------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """Tell somebody something that is no data; nothing with `--quiet`."""
        if not self.quiet:
            click.echo(text, err=True)

    def warn(self, text: str) -> None:
        """Tell somebody of trouble, `--quiet` or not."""
        click.echo(f"tenantry: {text}", err=True)

    def standing(self, pids: Collection[int] = ()) -> None:
        """Print whose state a table shows: that of live processes, or of nobody's but this one."""
        self.line(standing(pids), dim=True)


def standing(pids: Collection[int] = ()) -> str:
    """Say whose state is shown."""
    return f"live: pid {', '.join(map(str, sorted(pids)))}" if pids else FRESH


def counted(number: int, what: str) -> str:
    """Return how many there are, in words: `no problems`, `1 problem`, `2 problems`."""
    return f"{number or 'no'} {what}{'s' * (number != 1)}"
