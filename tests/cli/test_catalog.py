"""`tenantry catalog`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from click.testing import CliRunner

from tenantry.cli import exits
from tenantry.cli.catalog import command
from tenantry.cli.commands import LateCommands, tenantry

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

    Run = Callable[..., Result]

CONFIGURATION = """\
catalog: {sqlite: {path: catalog.db}}
allow: {origins: ["https://api.openai.com"], secrets: {env: ["KEY_{tenant}"]}}
defaults: {api_key: {env: "KEY_{tenant}"}}
"""
TENANTS = """\
tenants:
  acme: {timeout: 5, labels: {tier: "no"}}
  globex: {}
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command where a configuration names a database that nobody prepared."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENANTRY_CONFIG", raising=False)
    Path("service.yaml").write_text(CONFIGURATION)
    Path("tenants.yaml").write_text(TENANTS)

    def run(*arguments: str, said: str = "") -> Result:
        return CliRunner().invoke(
            tenantry, ["--config", "service.yaml", "catalog", *arguments], said
        )

    return run


@pytest.fixture
def ready(run: Run) -> Run:
    """The same, with two tenants in the database."""
    assert exits.OK == run("init").exit_code
    assert exits.OK == run("import", "tenants.yaml").exit_code
    return run


def test_it_is_one_of_the_commands() -> None:
    """The command line knows it, and everything within it says what it does."""
    assert isinstance(tenantry, LateCommands)
    assert {"init", "import", "export", "put", "remove", "history"} == set(command.commands)
    assert all(inner.help for inner in command.commands.values())


def test_init(run: Run) -> None:
    """Before `init` every other command asks for it; it may run again."""
    before = run("history")
    assert (exits.CONFIGURATION, True) == (before.exit_code, "catalog init" in before.stderr)

    assert [exits.OK, exits.OK] == [run("init").exit_code for _ in range(2)]
    assert {"version": 1} == json.loads(run("init", "--json").stdout)
    assert "no changes\n" == run("history").stdout


def test_files_go_in_and_come_out(ready: Run, tmp_path: Path) -> None:
    """What is exported is a file that says the same, and imports to nothing new."""
    out = tmp_path / "out.yaml"
    assert exits.OK == ready("export", "--output", str(out)).exit_code
    assert ready("export").stdout == out.read_text()

    again = ready("import", str(out), "--json", "--replace")
    assert {"dry_run": False, "add": [], "change": [], "remove": []} == json.loads(again.stdout)
    assert 1 == json.loads(ready("history", "--json").stdout)[0]["revision"]


def test_an_empty_catalog_makes_a_file(run: Run, tmp_path: Path) -> None:
    """Nobody is `tenants: {}`, which can be read."""
    run("init")

    assert "tenants: {}\n" == run("export").stdout


def test_import_shows_what_it_would_do(ready: Run) -> None:
    """A dry run shows who would be added, changed and removed, and writes nothing."""
    Path("tenants.yaml").write_text("tenants: {acme: {timeout: 6}, initech: }")
    done = ready("import", "tenants.yaml", "--replace", "--dry-run")

    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert [["add", "initech"], ["change", "acme"], ["remove", "globex"]] == rows
    assert "1 added, 1 changed, 1 removed (nothing is written)\n" == done.stderr
    assert 2 == len(json.loads(ready("history", "--json").stdout))

    assert exits.OK == ready("import", "tenants.yaml", "--replace").exit_code
    assert {"acme": {"timeout": 6}, "initech": {}} == yaml.safe_load(ready("export").stdout)[
        "tenants"
    ]


def test_nobody_replaces_nobody(ready: Run) -> None:
    """Files that name no tenant do not empty a database: somebody wrote a wrong path."""
    Path("empty.yaml").write_text("tenants: {}")
    done = ready("import", "empty.yaml", "--replace")

    assert (exits.USAGE, True) == (done.exit_code, "would remove all" in done.stderr)
    assert exits.OK == ready("import", "empty.yaml").exit_code
    assert "acme" in ready("export").stdout


def test_import_refuses_everything_where_anything_is_wrong(run: Run) -> None:
    """Problems of all tenants are shown with their lines, and nobody is written."""
    run("init")
    Path("tenants.yaml").write_text(
        "defaults: {timeout: 1}\n"
        "tenants:\n"
        "  fine: {}\n"
        "  far: {base_url: 'https://elsewhere.example'}\n"
        "  sly: {api_key: {command: [cat, /etc/passwd]}}\n"
        "  env: {labels: {x: '${HOME}'}}\n"
    )
    done = run("import", "tenants.yaml")

    assert exits.CONFIGURATION == done.exit_code
    assert "belongs to the configuration: defaults" in done.stderr
    for line, name in ((4, "far"), (5, "sly"), (6, "env")):
        assert f"tenants.yaml:{line}" in done.stderr
        assert f"tenants.{name}" in done.stderr
    assert "tenants: {}\n" == run("export").stdout


def test_put_and_remove(ready: Run) -> None:
    """One tenant is put from standard input or a file, checked like any row, and removed."""
    assert exits.OK == ready("put", "acme", said="timeout: 9").exit_code
    Path("one.yaml").write_text("timeout: 10")
    put = ready("put", "initech", "--file", "one.yaml", "--who", "ops", "--json")
    assert {"tenant": "initech", "revision": 3} == json.loads(put.stdout)
    assert "timeout: 9" in ready("export").stdout

    assert exits.OK == ready("remove", "initech").exit_code
    assert exits.USAGE == ready("remove", "initech").exit_code

    wrong = ready("put", "globex", said="base_url: https://elsewhere.example")
    assert (exits.CONFIGURATION, True) == (wrong.exit_code, "allow.origins" in wrong.stderr)
    assert "sqlite:tenants/globex" in wrong.stderr or "<stdin>" in wrong.stderr


def test_history(ready: Run) -> None:
    """Who changed whom and what was said is shown, the latest first, of one or of all."""
    ready("put", "acme", "--who", "ops@desk", said="timeout: 9")
    ready("remove", "acme", "--who", "ops@desk")
    heads, *rows = ready("history", "acme").stdout.splitlines()

    assert ["revision", "when", "who", "what", "tenant"] == heads.split()
    assert [("3", "removed"), ("2", "put"), ("1", "put")] == [
        (row.split()[0], row.split()[-2]) for row in rows
    ]
    latest, before, first = json.loads(ready("history", "acme", "--json").stdout)
    assert (None, {"timeout": 9}, 5) == (latest["said"], before["said"], first["said"]["timeout"])
    assert ("ops@desk", True) == (latest["who"], "@" in first["who"])
    assert 4 == len(json.loads(ready("history", "--json").stdout))
    assert 1 == len(json.loads(ready("history", "--json", "--limit", "1").stdout))


def test_a_configuration_without_an_engine(run: Run) -> None:
    """Where no database is named, the lines that name one are shown."""
    Path("service.yaml").write_text("defaults: {api_key: {env: KEY}}\ntenants: {acme: }")
    done = run("init")

    assert exits.CONFIGURATION == done.exit_code
    assert "catalog: {postgres:" in done.stderr
