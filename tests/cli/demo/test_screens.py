"""The demo's screens, and what they say of a demo that failed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tenantry.cli.demo.screens import JsonScreen, LiveScreen, PlainScreen, screen, verdict
from tenantry.cli.demo.tally import Row, Tally
from tenantry.cli.terminal import Terminal

if TYPE_CHECKING:
    import pytest

ROW = Row("acme", "openai", "vault", "2", requests=7, replayed=1, failed=0)
GOOD = Tally(2.0, 1, 0, (ROW,), ())
BAD = Tally(
    2.0, 1, 0, (Row("acme", "azure", "env", "", 7, 0, failed=2),), ("acme: TimeoutError: late",)
)


def test_the_screen_fits_where_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets a live table where that can be drawn, anything else lines, JSON is JSON."""
    assert isinstance(screen(Terminal(as_json=True)), JsonScreen)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    assert isinstance(screen(Terminal()), PlainScreen)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert isinstance(screen(Terminal()), LiveScreen)
    monkeypatch.setattr("tenantry.cli.demo.screens.find_spec", lambda _: None)
    assert isinstance(screen(Terminal()), PlainScreen)


def test_a_log_gets_a_line_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    """However often it is shown, a second gives one line; none where they are not wanted."""
    for quiet, lines in ((False, 2), (True, 0)):
        plain = PlainScreen(Terminal(quiet=quiet))
        for hundredths in range(0, 300, 25):
            plain.show(Tally(hundredths / 100, 1, 0, (ROW,), ()))
        said = capsys.readouterr()
        assert ("", lines) == (said.out, len(said.err.splitlines()))


def test_colours_are_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --no-color, on a terminal that has them."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    for colored in (True, False):
        LiveScreen(colored=colored).finish(BAD)
        assert colored == ("\x1b[31m" in capsys.readouterr().out)


def test_a_terminal_is_not_overrun(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table that is higher than the terminal is cut while it is live, and whole at the end."""
    monkeypatch.setenv("LINES", "14")
    monkeypatch.setenv("COLUMNS", "80")
    many = Tally(2.0, 1, 0, (ROW,) * 20, ())
    live = LiveScreen()
    with live:
        live.show(many)
        live.finish(many)
    assert 20 <= capsys.readouterr().out.count("acme")


def test_a_failure_is_said() -> None:
    """What failed is counted, and the first reasons stand below."""
    assert not BAD.passed
    assert "2 requests failed, 0 keys crossed\nacme: TimeoutError: late" == verdict(BAD)
    assert GOOD.passed
