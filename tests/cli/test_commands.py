"""What all commands share: how they are loaded, their common options, their exit codes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner

from tenantry.cli import commands, exits
from tenantry.errors import (
    ConfigError,
    MissingExtraError,
    Problem,
    RegistryClosedError,
    TenantryError,
    UnknownTenantError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from click.testing import Result

TENANTRY = Path(sys.executable).with_name("tenantry")
DOCUMENT = Path(__file__).parents[2] / "docs" / "command-line.md"
LIMIT = 100  # seconds that a process may take before the test gives up


def as_process(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(TENANTRY), *arguments],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
        env={**os.environ, **environ},
    )


def every_command() -> Iterator[tuple[str, click.Command]]:
    """Return each command by its whole name, those within others too."""
    context = click.Context(commands.tenantry, obj=None)
    for name in commands.tenantry.list_commands(context):
        command = commands.tenantry.get_command(context, name)
        assert command is not None
        yield name, command
        for inner, each in getattr(command, "commands", {}).items():
            yield f"{name} {inner}", each


# -- the commands ---------------------------------------------------------------------------------


def test_help_names_every_command() -> None:
    """`--help` says what there is, of each command in a line, and loads none of what they need."""
    code = (
        "import sys; from tenantry.cli import main\n"
        "try: main()\n"
        "finally: print(sorted({'pydantic', 'openai', 'rich', 'hvac', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=False
    )
    *shown, imported = done.stdout.splitlines()
    assert (exits.OK, "[]") == (done.returncode, imported)
    assert list(commands.COMMANDS) == [
        line.split()[0] for line in shown[shown.index("Commands:") + 1 :]
    ]
    assert 80 >= max(map(len, shown))


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_every_command_is_there(name: str, run: Callable[..., Result]) -> None:
    """Each command of the table has a module, and a help of its own."""
    done = run(name, "--help")

    assert exits.OK == done.exit_code
    assert f"Usage: tenantry {name}" in done.stdout


def test_everything_is_documented() -> None:
    """Every command, and every option of each, stands in the document."""
    text = DOCUMENT.read_text()
    missing = [name for name, _ in every_command() if f"tenantry {name}" not in text]
    missing += [
        f"{name} {option}"
        for name, command in [("", commands.tenantry), *every_command()]
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("-") and not re.search(rf"`[^`\n]*{option}\b[^`\n]*`", text)
    ]
    codes = [value for name, value in vars(exits).items() if name.isupper()]
    missing += [f"exit code {code}" for code in codes if f"| {code} |" not in text]

    assert [] == missing


def test_what_is_not_there(run: Callable[..., Result]) -> None:
    """A wrong command, or a wrong option, is a matter of usage."""
    assert exits.USAGE == run("no-such-command").exit_code
    refused = run("demo", "--seconds", "none")
    assert exits.USAGE == refused.exit_code
    assert "not a valid" in refused.stderr


# -- the options that all commands take -----------------------------------------------------------


def test_shared_options_stand_anywhere(tmp_path: Path, run: Callable[..., Result]) -> None:
    """What all commands take may be said before a command's name or after it."""
    file = tmp_path / "tenants.yaml"
    file.write_text("tenants: {acme: {api_key: {env: KEY}}}")
    before = run("--json", "--config", str(file), "list")
    after = run("list", "--json", "--config", str(file))

    assert "acme" == json.loads(before.stdout)[0]["tenant"]
    assert before.stdout == after.stdout


def test_the_configuration_of_the_environment(estate: object) -> None:
    """Without `--config` a process reads what a registry would, here below its directory."""
    done = as_process("list", "--json")
    assert (exits.OK, "") == (done.returncode, done.stderr)
    assert 6 == len(json.loads(done.stdout))


def test_a_terminal_is_drawn_on(estate: Any, on_terminal: Callable[..., Any]) -> None:
    """On a terminal of 80 columns tables fit, in colours; NO_COLOR and `--no-color` have none."""
    shown = on_terminal("list")
    assert exits.OK == shown.code
    assert "fresh process, not your service" == shown.lines[0]
    assert 80 >= max(map(len, shown.lines))
    assert "\x1b[31m" in shown.drawn
    for plain in (on_terminal("list", NO_COLOR="1"), on_terminal("list", "--no-color")):
        assert shown.lines == plain.lines
        assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", plain.drawn)


# -- what no command prints -----------------------------------------------------------------------

READING = [
    ["check", "--strict"],
    ["list"],
    ["show", "acme"],
    ["show", "hooli"],
    ["plan", "--against", "config"],
    ["ping", "--timeout", "30"],
    ["doctor"],
    ["keys", "status"],
    ["show", "stark"],
]


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_no_command_prints_a_secret(
    arguments: list[str], estate: Any, run: Callable[..., Result]
) -> None:
    """Secrets of sources, of headers and of the configuration are in nobody's output."""
    for said in (arguments, [*arguments, "--json"]):
        done = run(*said)
        assert done.output
        assert [] == estate.found_in(done.output)


# -- how they end ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError(Problem("is wrong", "tenants.acme")), exits.CONFIGURATION),
        (MissingExtraError("cli", needed_for="live tables"), exits.USAGE),
        (UnknownTenantError("acme"), exits.USAGE),
        (RegistryClosedError(), exits.UPSTREAM),
    ],
)
def test_our_errors_are_worded_for_people(
    error: TenantryError, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of ours is one message on standard error and an exit code, not a traceback."""

    def fail(*_: object, **__: object) -> bool:
        raise error

    monkeypatch.setattr("tenantry.cli.demo.run.run", fail)
    done = CliRunner().invoke(commands.tenantry, ["demo"])
    assert (code, "") == (done.exit_code, done.stdout)
    assert f"tenantry: {error}\n" == done.stderr


# -- the demo, from end to end --------------------------------------------------------------------


def test_the_demo_is_json_on_demand(tmp_path: Path) -> None:
    """`demo --json` prints one object and leaves no file behind."""
    said = ("demo", "--seconds", "3", "--tenants", "12", "--json")
    done = as_process(*said, TMPDIR=str(tmp_path))
    result = json.loads(done.stdout)
    assert (exits.OK, "") == (done.returncode, done.stderr)
    assert (True, 0, 0) == (result["passed"], result["failed"], result["crossed"])
    assert 12 == len(result["rows"])
    assert [] == list(tmp_path.iterdir())


def test_the_demo_prints_lines_where_nobody_looks() -> None:
    """On a pipe the demo prints plain lines of at most 80 columns, and no control characters."""
    done = as_process("demo", "--seconds", "2", "--tenants", "6")
    assert exits.OK == done.returncode, done.stdout + done.stderr
    assert "no request failed, no key crossed." in done.stdout
    both = done.stdout + done.stderr
    assert 80 >= max(map(len, both.splitlines()))
    assert "\x1b" not in both
    assert "sk-" not in both


def test_the_demo_draws_on_a_terminal(sample: Any, on_terminal: Callable[..., Any]) -> None:
    """On a terminal the demo draws its table, within 80 columns, as the document shows it."""
    shown = on_terminal("demo", "--seconds", "2", "--tenants", "6")
    assert exits.OK == shown.code, shown.text
    sample.same("demo", shown, said="demo --seconds 2 --tenants 6")
    assert "key version" in shown.text
    assert "\x1b[" in shown.drawn
    assert 80 >= max(map(len, shown.lines))


def test_an_interrupt_ends_the_demo(tmp_path: Path) -> None:
    """Control-C ends the demo with 130, its servers and files with it."""
    process = subprocess.Popen(
        [str(TENANTRY), "demo", "--seconds", "60", "--tenants", "6"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"},
    )
    assert process.stderr is not None
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=LIMIT)
    assert exits.INTERRUPTED == process.returncode
    assert "interrupted" in said
    assert [] == list(tmp_path.iterdir())


def test_a_newcomer_is_told_how_to_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Result]
) -> None:
    """Where there is nothing to read; not where there is something that is wrong."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENANTRY_CONFIG", raising=False)
    assert "next: tenantry init" == run("list").stderr.splitlines()[-1]
    assert "next:" not in run("list", "--quiet").stderr
    (tmp_path / "empty.yaml").write_text("tenants: {}\n")
    assert "next:" not in run("list", "--config", "empty.yaml").stderr
