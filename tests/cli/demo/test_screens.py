"""The demo's screens, and what they say of a demo that failed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tenantry.cli.demo.screens import JsonScreen, LiveScreen, PlainScreen, screen, verdict
from tenantry.cli.demo.tally import Row, Tally

if TYPE_CHECKING:
    import pytest

ROW = Row("acme", "openai", "vault", "2", requests=7, replayed=1, failed=0)
GOOD = Tally(2.0, 1, 0, (ROW,), ())
BAD = Tally(
    2.0, 1, 0, (Row("acme", "azure", "env", "", 7, 0, failed=2),), ("acme: TimeoutError: late",)
)


def test_the_screen_fits_where_it_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal gets a live table, anything else lines, and JSON is JSON everywhere."""
    assert isinstance(screen(as_json=True), JsonScreen)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: False)
    assert isinstance(screen(as_json=False), PlainScreen)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert isinstance(screen(as_json=False), LiveScreen)


def test_a_log_gets_a_line_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    """However often it is shown, a second gives one line."""
    plain = PlainScreen()
    for hundredths in range(0, 300, 25):
        plain.show(Tally(hundredths / 100, 1, 0, (ROW,), ()))
    assert 2 == len(capsys.readouterr().out.splitlines())


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
