"""`tenantry plan`."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from tenantry import ClientRegistry
from tenantry.cli import exits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result

BEFORE = """\
tenants:
  acme: {api_key: {env: KEY}, endpoints: {eu: {timeout: 5s}}}
  globex: {api_key: {env: KEY}}
  stark: {api_key: {env: KEY}}
  wonka: {api_key: {env: KEY}}
"""
AFTER = """\
tenants:
  acme: {api_key: {env: KEY}, max_retries: 1, endpoints: {eu: {timeout: 6s}}}
  hooli: {api_key: {env: KEY}}
  stark: {api_key: {env: KEY}, tmeout: 3}
  wonka: {api_key: {env: KEY}}
"""


def test_what_is_different_is_told(tmp_path: Path, run: Callable[..., Result]) -> None:
    """Added, changed, removed and rejected tenants are named, and the settings that are others."""
    before, after = tmp_path / "before.yaml", tmp_path / "after.yaml"
    before.write_text(BEFORE)
    after.write_text(AFTER)
    done = run("plan", "--against", str(before), "--config", str(after), "--json")

    assert exits.PROBLEMS == done.exit_code
    assert [
        {"pid": None, "change": "add", "tenant": "hooli", "what": []},
        {
            "pid": None,
            "change": "change",
            "tenant": "acme",
            "what": ["endpoints.eu.max_retries", "endpoints.eu.timeout", "max_retries"],
        },
        {"pid": None, "change": "remove", "tenant": "globex", "what": []},
        {
            "pid": None,
            "change": "reject",
            "tenant": "stark",
            "what": [f"{after}:4:32: tenants.stark.tmeout: unknown key 'tmeout'"],
        },
    ] == json.loads(done.stdout)
    table = run("plan", "--against", str(before), "--config", str(after)).stdout.splitlines()
    assert ["change", "tenant", "what"] == table[1].split()
    assert 4 == len(table[2:])


def test_nothing_is_different(tmp_path: Path, run: Callable[..., Result]) -> None:
    """Other places of equal settings are no change."""
    before, after = tmp_path / "before.yaml", tmp_path / "after.yaml"
    before.write_text(BEFORE)
    after.write_text(f"# moved down\n{BEFORE}")
    done = run("plan", "--against", str(before), "--config", str(after))

    assert exits.OK == done.exit_code
    assert ["fresh process, not your service", "no changes"] == done.stdout.splitlines()


def test_a_tenant_that_is_mended(tmp_path: Path, run: Callable[..., Result]) -> None:
    """Who was in quarantine before is served again."""
    before, after = tmp_path / "before.yaml", tmp_path / "after.yaml"
    before.write_text(AFTER)
    after.write_text(BEFORE)
    done = run("plan", "--against", str(before), "--config", str(after))

    assert exits.OK == done.exit_code
    assert "served again" in done.stdout


def test_live_processes_are_asked(tmp_path: Path, run: Callable[..., Result]) -> None:
    """With `--attach` each live process says what it would change if it read its files again."""
    file, sockets = tmp_path / "tenants.yaml", tmp_path / "control"
    file.write_text(BEFORE)
    with ClientRegistry.open(file, environ={"KEY": "made-up"}) as registry:
        registry.serve_control(sockets)
        same = run("plan", "--attach", str(sockets))
        file.write_text(AFTER)
        done = run("plan", "--attach", str(sockets))
        rows = json.loads(run("plan", "--attach", str(sockets), "--json").stdout)
        file.write_text("tenants: [")
        unusable = run("plan", "--attach", str(sockets))

    live = f"live: pid {os.getpid()}"
    assert [live, "no changes"] == same.stdout.splitlines()
    assert (exits.OK, exits.PROBLEMS) == (same.exit_code, done.exit_code)
    assert [live, ["pid", "change", "tenant", "what"]] == [
        done.stdout.splitlines()[0],
        done.stdout.splitlines()[1].split(),
    ]
    assert {("add", "hooli"), ("change", "acme"), ("remove", "globex"), ("reject", "stark")} == {
        (row["change"], row["tenant"]) for row in rows
    }
    assert {os.getpid()} == {row["pid"] for row in rows}
    assert exits.CONFIGURATION == unusable.exit_code


def test_there_has_to_be_something_to_compare_with(run: Callable[..., Result]) -> None:
    """Exactly one of the two ways has to be said."""
    assert exits.USAGE == run("plan").exit_code
    assert exits.USAGE == run("plan", "--against", "a", "--attach", "b").exit_code
