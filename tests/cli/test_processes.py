"""Every command as a process: on a terminal, and on a pipe without a control character."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tenantry.cli import exits
from tenantry.cli.commands import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Callable

TENANTRY = str(Path(sys.executable).with_name("tenantry"))
LIMIT = 100  # seconds
ENGINE = """\
catalog: {sqlite: {path: tenants.db}}
allow: {origins: ["https://api.openai.com"], secrets: {env: ["KEY"]}}
"""
# How each is called, how it ends and a word of what it says.
CALLS: dict[str, tuple[tuple[str, ...], int, str]] = {
    "init": (("init", "new.yaml"), exits.OK, "new.yaml"),
    "check": (("check",), exits.PROBLEMS, "tmeout"),
    "list": (("list",), exits.OK, "globex"),
    "show": (("show", "acme"), exits.OK, "base_url"),
    "plan": (("plan", "--against", "config/tenants.yaml"), exits.PROBLEMS, "stark"),
    "ping": (("ping", "acme"), exits.OK, "acme"),
    "doctor": (("doctor",), exits.PROBLEMS, "openai"),
    "keys": (("keys", "status", "acme"), exits.OK, "vault"),
    "catalog": (("catalog", "init", "--config", "engine.yaml"), exits.OK, "tables of version"),
    "schema": (("schema",), exits.OK, "$schema"),
    "completion": (("completion", "bash"), exits.OK, "_tenantry"),
    "demo": (("demo", "--seconds", "1", "--tenants", "6"), exits.OK, "no request failed"),
}


def test_every_command_is_called() -> None:
    """A new command has to be told how it is called here."""
    assert COMMANDS.keys() == CALLS.keys()


@pytest.mark.parametrize("command", CALLS)
def test_on_a_terminal_and_on_a_pipe(
    command: str, estate: Any, on_terminal: Callable[..., Any]
) -> None:
    """Both end with the same code and say the same, 80 columns wide on a terminal."""
    arguments, code, word = CALLS[command]
    Path("engine.yaml").write_text(ENGINE)
    piped = subprocess.run(
        [TENANTRY, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    Path("new.yaml").unlink(missing_ok=True)
    shown = on_terminal(*arguments)
    said = piped.stdout + piped.stderr
    assert (code, code) == (piped.returncode, shown.code), said + shown.text
    assert word in said
    assert word in shown.drawn
    assert not re.search("[\x00-\x08\x0b-\x1f]", said)
    assert "Traceback" not in said + shown.text
    assert 80 >= max(map(len, shown.lines))
    assert [] == estate.found_in(said + shown.drawn)
