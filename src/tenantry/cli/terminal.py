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
        self._print(self.styled(visible(text), **style))

    def prose(self, head: str, text: str, *, indent: int = 4, **style: Any) -> None:
        """Print sentences after a head that has the style: folded on a terminal only."""
        head = visible(head)
        whole = f"{head}{' '.join(visible(text).split())}"
        first, *others = self._folded(whole, " " * indent) if self.drawn else [whole]
        self._print(self.styled(head, **style) + first.removeprefix(head))
        for line in others:
            self._print(line)

    def _print(self, styled: str) -> None:
        click.echo(styled, color=None if self.colored else False)

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

        cells = [[visible(cell).replace("\n", "\\n") for cell in row] for row in rows]
        table = Table(tuple(columns), cells, styles or [""] * len(rows), frozenset(right))
        table.show(width=self.width if self.drawn else None, colored=self.colored)

    # -- asides -----------------------------------------------------------------------------------

    def note(self, text: str) -> None:
        """Tell somebody something that is no data; nothing with `--quiet`."""
        if not self.quiet:
            self._tell(text)

    def warn(self, text: str) -> None:
        """Tell somebody of trouble, `--quiet` or not."""
        self._tell(f"tenantry: {text}")

    def _tell(self, text: str) -> None:
        """Print lines on standard error: folded on a terminal, each with a margin of its own."""
        for line in visible(text).split("\n"):
            margin = " " * (len(line) - len(line.lstrip()) + 4)
            lines = self._folded(line, margin) if sys.stderr.isatty() else [line]
            click.echo("\n".join(lines), err=True)

    def _folded(self, line: str, margin: str) -> list[str]:
        return textwrap.wrap(
            line, self.width, subsequent_indent=margin, break_on_hyphens=False
        ) or [line]

    def standing(self, pids: Collection[int] = ()) -> None:
        """Print whose state a table shows: that of live processes, or of nobody's but this one."""
        self.line(standing(pids), dim=True)


def standing(pids: Collection[int] = ()) -> str:
    """Say whose state is shown."""
    return f"live: pid {', '.join(map(str, sorted(pids)))}" if pids else FRESH


def visible(text: str) -> str:
    """Return text with what a terminal would obey instead of showing it spelled out.

    Names and values come from whoever wrote the configuration.
    """
    return text if text.isprintable() else "".join(map(_spelled, text))


def _spelled(character: str) -> str:
    shown = character.isprintable() or character == "\n"
    return character if shown else character.encode("unicode_escape").decode()


def counted(number: int, what: str) -> str:
    """Return how many there are, in words: `no problems`, `1 problem`, `2 problems`."""
    return f"{number or 'no'} {what}{'s' * (number != 1)}"
