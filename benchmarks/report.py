"""What was measured, as a table for people, a page of documentation, and JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.ratios import Verdict, said

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from benchmarks.ratios import Ratio, Target

HEADER = ("what", "beside", "measured", "95 % interval", "target", "verdict")

ABOUT = """\
Written by `{command}`, from one run on the machine below;
[performance.json](performance.json) has every round. What is compared runs by turns, so that a
machine that slows down slows both, and what is told is the median of the ratios of the rounds. A
target is met, or missed, where the whole 95 % interval is on one side of it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One thing beside another, and what is asked of it."""

    what: str
    beside: str
    ratio: Ratio
    target: Target

    @property
    def verdict(self) -> Verdict:
        return self.target.verdict(*self.ratio.interval)

    @property
    def cells(self) -> tuple[str, ...]:
        low, high = self.ratio.interval
        return (
            self.what,
            self.beside,
            said(self.ratio.median),
            f"{said(low)} .. {said(high)}",
            str(self.target),
            self.verdict,
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "what": self.what,
            "beside": self.beside,
            "median": self.ratio.median,
            "interval": self.ratio.interval,
            "rounds": self.ratio.rounds,
            "target": str(self.target),
            "verdict": self.verdict,
        }


@dataclass(frozen=True, slots=True)
class Topic:
    """What belongs together: rows with a target, and the figures that they come from."""

    title: str
    about: str
    rows: Sequence[Row] = ()
    columns: Sequence[str] = ()
    figures: Sequence[Sequence[str]] = ()
    measured: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        rows = [row.as_dict() for row in self.rows]
        return {"title": self.title, "rows": rows, "measured": self.measured}


def told(topics: Iterable[Topic]) -> str:
    """Return topics as a terminal shows them."""
    return "\n".join(
        part
        for topic in topics
        for part in (
            f"{topic.title}: {topic.about}\n",
            aligned([topic.columns, *topic.figures]) if topic.figures else "",
            aligned([HEADER, *(row.cells for row in topic.rows)]) if topic.rows else "",
        )
        if part
    )


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of cells in columns: words to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join(
        "  "
        + "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        + "\n"
        for line in lines
    )


def page(topics: Sequence[Topic], machine: Mapping[str, str], command: str) -> str:
    """Return topics as a page of documentation."""
    rows = [row for topic in topics for row in topic.rows]
    return "\n".join(
        [
            "# Performance",
            "",
            ABOUT.format(command=command),
            "",
            markdown(HEADER, [row.cells for row in rows]),
            counted(rows),
            "",
            "![Requests per second over concurrency](performance.svg)",
            "",
            *(line for topic in topics for line in _section(topic)),
            "## Machine and versions",
            "",
            markdown(("what", "which"), machine.items()),
        ]
    )


def _section(topic: Topic) -> list[str]:
    figures = [markdown(topic.columns, topic.figures)] if topic.figures else []
    return [f"## {topic.title}", "", f"{topic.about}", "", *figures]


def markdown(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    every = [columns, ["---"] * len(columns), *lines]
    return "".join(f"| {' | '.join(line)} |\n" for line in every)


def counted(rows: Iterable[Row]) -> str:
    """Say how many rows have which verdict."""
    verdicts = [row.verdict for row in rows]
    return ", ".join(f"{verdicts.count(each)} {each}" for each in Verdict) + "."
