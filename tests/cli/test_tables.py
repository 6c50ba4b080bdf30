"""Tables, on a terminal and off it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tenantry.cli.tables import Table

if TYPE_CHECKING:
    import pytest

WIDE = Table(
    ("tenant", "ms", "address"),
    [("acme", "7", "https://contoso.openai.azure.com/" + "x" * 80), ("globex", "12", "-")],
    ["", "red"],
    frozenset({"ms"}),
)


def test_lines_for_programs() -> None:
    """Each row is a line, columns stand below their heads, and nothing is cut."""
    heads, first, second = WIDE.lines()

    assert ["tenant  ms  address", "globex  12  -"] == [heads, second]
    assert first.startswith("acme     7  https://")
    assert first.endswith("x" * 80)


def test_no_rows() -> None:
    """A table of nobody has its heads."""
    assert ["tenant  ms"] == Table(("tenant", "ms"), [], [], frozenset()).lines()


def test_drawn_within_a_width(capsys: pytest.CaptureFixture[str]) -> None:
    """Drawn, it folds what is wide, and loses none of it."""
    WIDE.show(width=60, colored=True)
    shown = capsys.readouterr().out

    assert 60 >= max(map(len, shown.splitlines()))
    assert 80 == shown.count("x") - "globex".count("x")


def test_without_rich(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where rich is not installed, people get what programs get."""
    monkeypatch.setitem(sys.modules, "rich.box", None)
    WIDE.show(width=60, colored=True)

    assert WIDE.lines() == capsys.readouterr().out.splitlines()


def test_brackets_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    """What looks like markup is shown as it is."""
    Table(("a",), [("[red]x[/red]",)], [""], frozenset()).show(width=40, colored=True)

    assert "[red]x[/red]" in capsys.readouterr().out


def test_stacked_where_it_is_narrow(capsys: pytest.CaptureFixture[str]) -> None:
    """What does not fit into a narrow terminal has a line for each cell; what fits is drawn."""
    WIDE.show(width=40, colored=True)
    empty, first, ms, address, *_ = capsys.readouterr().out.splitlines()

    assert ["tenant   acme", "ms       7", ""] == [first, ms, empty]
    assert address.startswith("address  https://contoso")
    Table(("tenant",), [("acme",)], [""], frozenset()).show(width=40, colored=True)
    assert "───" in capsys.readouterr().out
