"""How commands speak: what is data, what is an aside, what is coloured."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

from tenantry.cli.terminal import Terminal, counted, standing

if TYPE_CHECKING:
    import pytest


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def terminal_of_40_columns(monkeypatch: pytest.MonkeyPatch) -> Tty:
    """Put a terminal in the place of standard output."""
    shown = Tty()
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return shown


def test_whose_state_it_is() -> None:
    """A table is of live processes, by number, or of nobody's but this one."""
    assert "fresh process, not your service" == standing()
    assert "live: pid 41, 42" == standing({42, 41})


def test_asides_are_no_data(capsys: pytest.CaptureFixture[str]) -> None:
    """Notes go to standard error and end with `--quiet`, warnings do not."""
    Terminal().note("a note")
    Terminal(quiet=True).note("another")
    Terminal(quiet=True).warn("trouble")

    assert ("", "a note\ntenantry: trouble\n") == capsys.readouterr()


def test_colours_are_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets colours, unless it or somebody asks for none."""
    tty = terminal_of_40_columns(monkeypatch)
    Terminal().line("red", fg="red")
    assert "\x1b[31mred\x1b[0m\n" == tty.getvalue()
    assert "red" == Terminal(no_color=True).styled("red", fg="red")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "red" == Terminal().styled("red", fg="red")


def test_a_pipe_gets_no_colours(capsys: pytest.CaptureFixture[str]) -> None:
    """What is styled is plain where nobody looks."""
    Terminal().line("red", fg="red")
    Terminal().prose("red", "", fg="red")

    assert "red\nred\n" == capsys.readouterr().out


def test_prose_is_folded_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal sentences are folded under their head, whose colour takes no room."""
    tty = terminal_of_40_columns(monkeypatch)
    Terminal().prose("FAIL  ", "a sentence that is longer than the line is", indent=6, fg="red")

    assert (
        "\x1b[31mFAIL  \x1b[0ma sentence that is longer than the\n      line is\n"
    ) == tty.getvalue()


def test_prose_is_a_line_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """On a pipe a head and its sentences are one line, however long."""
    Terminal().prose("acme: ", "word\n  " * 40)

    assert 1 == capsys.readouterr().out.count("\n")


def test_the_width_of_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no terminal says how wide it is, it is 80 columns."""
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(sys, "__stdout__", None)

    assert 80 == Terminal().width


def test_numbers_in_words() -> None:
    """None is no number, and one is no plural."""
    assert ["no problems", "1 problem", "2 problems"] == [counted(n, "problem") for n in range(3)]


def test_nothing_is_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    """What would move a cursor, colour a screen or turn a line around is spelled out."""
    planted = "a\x1b[2Jb\rc\u202ed é"
    spelled = r"a\x1b[2Jb\rc\u202ed é"
    Terminal().line(planted)
    Terminal().prose(planted, planted)
    Terminal().table(("heads",), [(f"{planted}\n",)])
    Terminal().note(planted)
    Terminal().warn(f"{planted}\n  next")
    shown = capsys.readouterr()

    assert [spelled, spelled * 2, "heads", rf"{spelled}\n"] == shown.out.splitlines()
    assert [spelled, f"tenantry: {spelled}", "  next"] == shown.err.splitlines()


def test_asides_are_folded_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Line by line, and no word is cut in two; each goes on below its own beginning."""
    shown = Tty()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("COLUMNS", "40")
    Terminal().warn(
        "one that is longer than a line of it is\n    and what belongs to it, as long as that"
    )

    assert [
        "tenantry: one that is longer than a line",
        "    of it is",
        "    and what belongs to it, as long as",
        "        that",
    ] == shown.getvalue().splitlines()
