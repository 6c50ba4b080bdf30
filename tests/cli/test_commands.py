"""The command line, run as a process."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tenantry.cli import commands, exits
from tenantry.errors import ConfigError, MissingExtraError, Problem, RegistryClosedError

TENANTRY = Path(sys.executable).with_name("tenantry")
LIMIT = 100  # seconds that a process may take before the test gives up


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(TENANTRY), *arguments], capture_output=True, text=True, timeout=LIMIT, check=False
    )


def test_help_says_what_there_is() -> None:
    """`--help` names every command."""
    done = run("--help")
    assert exits.OK == done.returncode
    assert "demo" in done.stdout


def test_a_wrong_option_is_a_usage_error() -> None:
    """What click refuses ends with 2, and says so on standard error."""
    done = run("demo", "--seconds", "none")
    assert exits.USAGE == done.returncode
    assert "not a valid" in done.stderr


def test_the_demo_is_json_on_demand(tmp_path: Path) -> None:
    """`demo --json` prints one object and leaves no file behind."""
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [str(TENANTRY), "demo", "--seconds", "3", "--tenants", "12", "--json"],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
        env=environ,
    )
    result = json.loads(done.stdout)
    assert (exits.OK, "") == (done.returncode, done.stderr)
    assert (True, 0, 0) == (result["passed"], result["failed"], result["crossed"])
    assert 12 == len(result["rows"])
    assert [] == list(tmp_path.iterdir())


def test_the_demo_prints_lines_where_nobody_looks() -> None:
    """On a pipe the demo prints plain lines of at most 80 columns, and no control characters."""
    done = run("demo", "--seconds", "2", "--tenants", "6")
    assert exits.OK == done.returncode, done.stdout + done.stderr
    assert "no request failed, no key crossed." in done.stdout
    assert 80 >= max(map(len, done.stdout.splitlines()))
    assert "\x1b" not in done.stdout
    assert "sk-" not in done.stdout


def test_the_demo_draws_on_a_terminal() -> None:
    """On a terminal the demo draws its table, within 80 columns."""
    status, shown = on_terminal("demo", "--seconds", "2", "--tenants", "6")
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)
    assert exits.OK == status, plain
    assert "key version" in plain
    assert "\x1b[" in shown
    assert 80 >= max(len(line.rstrip()) for line in re.split(r"[\r\n]+", plain))


def on_terminal(*arguments: str) -> tuple[int, str]:
    """Run a command on a terminal of 80 by 24; return its exit code and all that it drew."""
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover  # the child becomes the command
        size = {"COLUMNS": "80", "LINES": "24", "TERM": "xterm-256color"}
        os.execve(str(TENANTRY), ["tenantry", *arguments], {**os.environ, **size})
    drawn = b""
    try:
        while chunk := os.read(terminal, 65_536):
            drawn += chunk
    except OSError:
        pass  # Linux's way to say that the other end is closed
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), drawn.decode()


def test_an_interrupt_ends_the_demo(tmp_path: Path) -> None:
    """Control-C ends the demo with 130, its servers and files with it."""
    process = subprocess.Popen(
        [str(TENANTRY), "demo", "--seconds", "60", "--tenants", "6"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=LIMIT)
    assert exits.INTERRUPTED == process.returncode
    assert "interrupted" in said
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError(Problem("is wrong", "tenants.acme")), exits.CONFIGURATION),
        (MissingExtraError("cli", needed_for="live tables"), exits.USAGE),
        (RegistryClosedError(), exits.UPSTREAM),
    ],
)
def test_our_errors_are_worded_for_people(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of ours is one message on standard error and an exit code, not a traceback."""

    def fail(**_: object) -> bool:
        raise error

    monkeypatch.setattr("tenantry.cli.demo.run", fail)
    done = CliRunner().invoke(commands.tenantry, ["demo"])
    assert code == done.exit_code
    assert done.stderr.startswith("tenantry: ")
    assert "Traceback" not in done.stderr
