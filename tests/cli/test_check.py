"""`tenantry check`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tenantry.cli import exits

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

SOUND = "tenants:\n  acme: {api_key: {env: KEY_ACME}}\n"
DOCUMENT = Path(__file__).parents[2] / "docs" / "command-line.md"


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENANTRY_CONFIG", raising=False)


def test_nothing_is_wrong(run: Callable[..., Result]) -> None:
    """A sound configuration prints nothing on standard output; the count is an aside."""
    Path("sound.yaml").write_text(SOUND)
    done = run("check", "--config", "sound.yaml")

    assert (exits.OK, "", "1 tenant, no problems\n") == (done.exit_code, done.stdout, done.stderr)
    assert "" == run("check", "--quiet", "--config", "sound.yaml").stderr


def test_every_problem_has_its_place(run: Callable[..., Result]) -> None:
    """A problem is `file:line:column: path: message`, with its line and what to do below."""
    said = "defaults: {api_key: {env: KEY}}\ntenants: {acme: ,\n  globex: {tmeout: 30, project: p}}"
    Path("odd.yaml").write_text(said)
    done = run("check", "--config", "odd.yaml")

    assert exits.PROBLEMS == done.exit_code
    assert [
        "odd.yaml:3:12: tenants.globex.tmeout: unknown key 'tmeout'",
        "      globex: {tmeout: 30, project: p}}",
        "               ^",
        "    did you mean 'timeout'?",
    ] == done.stdout.splitlines()


def test_what_stops_everything(run: Callable[..., Result]) -> None:
    """What no service would start with is told in the same way, all of it."""
    tenants = "".join(f"  t{number}: {{tmeout: 1}}\n" for number in range(60))
    Path("broken.yaml").write_text(f"tenants:\n{tenants}")
    done = run("check", "--config", "broken.yaml", "--json")
    found = json.loads(done.stdout)

    assert exits.PROBLEMS == done.exit_code
    assert None is found["tenants"]
    assert 60 <= len(found["problems"])


def test_as_json(run: Callable[..., Result]) -> None:
    """JSON has every part of a problem on its own."""
    Path("odd.yaml").write_text(SOUND + "  stark: {api_key: {literal: made-up}, tmeout: 1}\n")
    found = json.loads(run("check", "--json", "--config", "odd.yaml").stdout)

    [problem] = found["problems"]
    assert ("odd.yaml", 3, "tenants.stark.tmeout") == (
        problem["file"],
        problem["line"],
        problem["path"],
    )
    assert 2 == found["tenants"]


def test_a_warning(run: Callable[..., Result]) -> None:
    """A secret in plain text is a warning, and fails where `--strict` is said."""
    Path("plain.yaml").write_text("tenants:\n  acme: {api_key: {literal: made-up}}\n")
    done = run("check", "--config", "plain.yaml")

    assert exits.OK == done.exit_code
    assert "tenants.acme.api_key: warning: a secret stands in the configuration" in done.stdout
    assert "1 tenant, no problems, 1 warning\n" == done.stderr
    assert exits.PROBLEMS == run("check", "--strict", "--config", "plain.yaml").exit_code
    assert "made-up" not in done.output


@pytest.mark.parametrize("arguments", [[], ["--config", "none.yaml"], ["--config", "."]])
def test_nothing_can_be_read(arguments: list[str], run: Callable[..., Result]) -> None:
    """Where there is nothing to look at the exit code says so."""
    done = run("check", *arguments)

    assert (exits.CONFIGURATION, "") == (done.exit_code, done.stdout)


def test_it_is_told_where_all_is_well_without_the_sdk() -> None:
    """Checking imports neither the SDK nor an http library, nor what draws."""
    Path("sound.yaml").write_text(SOUND)
    code = (
        "import sys; from tenantry.cli.commands import tenantry\n"
        "tenantry(['check', '--config', 'sound.yaml'], standalone_mode=False)\n"
    )
    watch = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(sorted({'openai', 'httpx', 'httpx2', 'rich', 'hvac'}"
        " & set(sys.modules))))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", watch + code], capture_output=True, text=True, check=False
    )
    assert (exits.OK, "[]\n") == (done.returncode, done.stdout), done.stderr


def test_the_documents_sample(on_terminal: Callable[..., Any]) -> None:
    """What the document shows is what a terminal of 80 columns shows, character by character."""
    text = DOCUMENT.read_text()
    said, shown = re.findall(r"<!-- check -->\n```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    Path("config").mkdir()
    Path("config/tenants.yaml").write_text(said)
    done = on_terminal("check")

    assert exits.PROBLEMS == done.code
    assert shown.rstrip().splitlines() == ["$ tenantry check", *done.lines]


def test_nobody_reads_on() -> None:
    """A reader who goes away, as `head` does, ends it without a traceback."""
    tenants = "".join(f"  t{number}: {{tmeout: 1}}\n" for number in range(3000))
    Path("broken.yaml").write_text(f"defaults: {{api_key: {{env: K}}}}\ntenants:\n  ok:\n{tenants}")
    tenantry = Path(sys.executable).with_name("tenantry")
    process = subprocess.Popen(
        [str(tenantry), "check", "--config", "broken.yaml"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.readline()
    process.stdout.close()
    assert b"" == process.stderr.read()
    assert exits.PROBLEMS == process.wait(60)
    process.stderr.close()


def test_tenants_in_a_database(run: Callable[..., Result]) -> None:
    """Rows are the database's, and `check` says that it does not look at them."""
    Path("engine.yaml").write_text("catalog: {sqlite: {path: tenants.db}}\nallow: {secrets: {}}")
    done = run("check", "--config", "engine.yaml")

    assert exits.OK == done.exit_code
    assert "tenants in a database are not looked at, no problems\n" == done.stderr
