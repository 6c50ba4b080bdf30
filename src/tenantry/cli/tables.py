"""Tables: drawn by rich where somebody looks, lines of aligned text elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

GAP = "  "
NARROW = 60  # columns, in which cells that do not fit would be folded beyond reading


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under heads; `styles` has a colour for each row, `right` the columns of numbers."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[str]]
    styles: Sequence[str]
    right: frozenset[str]

    def show(self, *, width: int | None, colored: bool) -> None:
        """Print it: within `width` columns, or a line for each row where that is None."""
        lines = self.lines()
        if width is not None and width < NARROW and max(map(len, lines)) > width:
            lines = self.stacked()
        elif width is not None and self._draw(width, colored=colored):
            return
        for line in lines:
            click.echo(line)

    def stacked(self) -> list[str]:
        """Return the table with a line for each cell, and an empty one before each row."""
        head = max(map(len, self.columns))
        rows = [zip(self.columns, row, strict=True) for row in self.rows]
        return [
            line
            for row in rows
            for line in ("", *(f"{column:{head}}{GAP}{cell}" for column, cell in row))
        ]

    def lines(self) -> list[str]:
        """Return the table as text, no cell cut or folded: for `grep`, `awk` and logs."""
        rows = [self.columns, *self.rows]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return [GAP.join(self._placed(row, widths)).rstrip() for row in rows]

    def _placed(self, row: Sequence[str], widths: Sequence[int]) -> list[str]:
        return [
            cell.rjust(width) if column in self.right else cell.ljust(width)
            for cell, column, width in zip(row, self.columns, widths, strict=True)
        ]

    def _draw(self, width: int, *, colored: bool) -> bool:
        """Draw it with rich; return False where that is not installed."""
        try:
            from rich.box import SIMPLE_HEAD
            from rich.console import Console
            from rich.table import Table as Drawn
            from rich.text import Text
        except ModuleNotFoundError:
            return False
        drawn = Drawn(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        for column in self.columns:
            drawn.add_column(
                column, justify="right" if column in self.right else "left", overflow="fold"
            )
        for row, style in zip(self.rows, self.styles, strict=True):
            drawn.add_row(*map(Text, row), style=style)
        Console(width=width, no_color=not colored, highlight=False).print(drawn)
        return True
