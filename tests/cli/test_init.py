"""`tenantry init`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tenantry.cli import exits

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result


@pytest.fixture(autouse=True)
def somewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENANTRY_CONFIG", raising=False)


def test_it_is_written_where_it_is_looked_for(run: Callable[..., Result]) -> None:
    """Without a name it is the file that every command reads by itself."""
    done = run("init")

    assert (exits.OK, "config/tenants.yaml\n") == (done.exit_code, done.stdout)
    assert "next: tenantry check --config config/tenants.yaml" in done.stderr
    assert exits.OK == run("check", "--strict").exit_code


@pytest.mark.parametrize("arguments", [["other.yaml"], ["--config", "other.yaml"]])
def test_another_file(arguments: list[str], run: Callable[..., Result]) -> None:
    """The file may be named either way."""
    done = run("init", "--json", "--quiet", *arguments)

    assert ({"file": "other.yaml"}, "") == (json.loads(done.stdout), done.stderr)
    assert Path("other.yaml").exists()


def test_nothing_is_overwritten(run: Callable[..., Result]) -> None:
    """What is there stays as it is."""
    Path("mine.yaml").write_text("tenants:\n")
    done = run("init", "mine.yaml")

    assert exits.USAGE == done.exit_code
    assert "mine.yaml exists" in done.stderr
    assert "tenants:\n" == Path("mine.yaml").read_text()


def test_what_cannot_be(run: Callable[..., Result]) -> None:
    """A place that cannot be written to, and tokens of Entra ID for OpenAI, are refused."""
    Path("file").touch()

    assert exits.USAGE == run("init", "file/tenants.yaml").exit_code
    assert "--provider azure" in run("init", "--source", "entra").stderr
