"""`manage.py tenantry` is tenantry's command line, with the project's configuration."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import override_settings

from tenantry.cli.commands import tenantry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTINGS = """
SECRET_KEY = "made-up"
INSTALLED_APPS = ["tenantry.integrations.django"]
TENANTRY = "tenants.yaml"
"""


@pytest.fixture
def shows_config(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A command that prints which configuration commands read, for the length of a test."""

    def show() -> None:
        click.echo(os.environ.get("TENANTRY_CONFIG", "nothing"))

    def fail() -> None:
        raise SystemExit(3)

    monkeypatch.delenv("TENANTRY_CONFIG", raising=False)
    monkeypatch.setitem(
        tenantry.commands, "show-config", click.Command("show-config", callback=show)
    )
    monkeypatch.setitem(tenantry.commands, "fail", click.Command("fail", callback=fail))
    yield
    os.environ.pop("TENANTRY_CONFIG", None)


def called(*arguments: str) -> str:
    out = io.StringIO()
    call_command("tenantry", *arguments, stdout=out)
    return out.getvalue()


def test_a_command(configured: object, tmp_path: Path) -> None:
    """Arguments go to the command as they are, and what it prints comes back."""
    assert "$schema" in json.loads(called("schema"))
    called("schema", "--output", str(tmp_path / "schema.json"))
    assert "$schema" in json.loads((tmp_path / "schema.json").read_text())


def test_the_projects_configuration(shows_config: None, tmp_path: Path) -> None:
    """Commands read the files that the setting names; a mapping has none."""
    with override_settings(TENANTRY={"tenants": {}}):
        assert "nothing\n" == called("show-config")
    with override_settings(TENANTRY=[tmp_path / "a.yaml", tmp_path / "b.yaml"]):
        assert f"{tmp_path}/a.yaml{os.pathsep}{tmp_path}/b.yaml\n" == called("show-config")


def test_failure(shows_config: None, configured: object) -> None:
    """A command that fails is a CommandError with its exit code."""
    with pytest.raises(CommandError) as caught:
        called("fail")
    assert 3 == caught.value.returncode


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--help"], 0, "Usage: manage.py tenantry"),
        (["demo", "--help"], 0, "--seconds"),
        (["--version"], 0, "version"),
        (["demo", "--seconds", "none"], 2, "Invalid value"),
        (["no-such-command"], 2, "No such command"),
    ],
)
def test_as_a_process(tmp_path: Path, arguments: list[str], code: int, told: str) -> None:
    """From a shell every option is the command's own, and its exit code the process's."""
    (tmp_path / "settings.py").write_text(SETTINGS)
    (tmp_path / "manage.py").write_text(
        "import sys; from django.core.management import execute_from_command_line as run;"
        "run(sys.argv)"
    )
    done = subprocess.run(
        [sys.executable, "manage.py", "tenantry", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        cwd=tmp_path,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "settings"},
    )
    assert (code, True) == (done.returncode, told in done.stdout + done.stderr)
