"""`tenantry list`."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from tenantry.cli import exits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result


def test_everybody_is_listed(estate: object, run: Callable[..., Result]) -> None:
    """Each tenant has a line, below one that says whose state it is."""
    done = run("list")
    first, heads, *rows = done.stdout.splitlines()

    assert (exits.OK, "") == (done.exit_code, done.stderr)
    assert "fresh process, not your service" == first
    assert ["tenant", "provider", "base", "URL", "source", "state"] == heads.split()
    states = {line.split()[0]: line.split()[-1] for line in rows}
    assert {
        "acme": "served",
        "globex": "served",
        "initech": "served",
        "wonka": "served",
        "hooli": "disabled",
        "stark": "quarantined",
    } == states


def test_as_json(estate: object, run: Callable[..., Result]) -> None:
    """JSON has what is known of each, null where nothing is."""
    rows = {row["tenant"]: row for row in json.loads(run("list", "--json").stdout)}

    assert "api_key" == rows["initech"]["credential"]
    assert "env" == rows["initech"]["source"]
    assert "azure" == rows["globex"]["provider"]
    assert rows["stark"] == {
        "tenant": "stark",
        "provider": None,
        "base_url": None,
        "credential": None,
        "source": None,
        "state": "quarantined",
    }


def test_some_are_listed(estate: object, run: Callable[..., Result]) -> None:
    """Patterns and a state leave out the others."""

    def names(*arguments: str) -> list[Any]:
        return [row["tenant"] for row in json.loads(run("list", "--json", *arguments).stdout)]

    assert ["acme", "globex"] == names("acme", "glob*")
    assert ["hooli"] == names("--state", "disabled")
    assert [] == names("nobody")


def test_the_sdks_own_address(run: Callable[..., Result], monkeypatch: Any) -> None:
    """Who says no address has the SDK's."""
    monkeypatch.setenv("TENANTRY_TENANTS__ACME__API_KEY", '{"env": "KEY"}')
    monkeypatch.chdir("/")

    assert "(the SDK's own)" in run("list").stdout


def test_live_processes_are_listed(live: Callable[..., Path], run: Callable[..., Result]) -> None:
    """What all say stands once; where they differ each has a line, and its number."""
    said = {"api_key": {"env": "KEY"}, "base_url": "https://a.example"}
    tenants = {"acme": said, "globex": {**said, "enabled": False}}
    other = {"acme": said, "globex": {**said, "base_url": "https://b.example"}, "wonka": said}
    directory = live({"tenants": tenants}, {"tenants": other})
    first, heads, *rows = run("list", "--attach", str(directory)).stdout.splitlines()
    pid = os.getpid()

    assert f"live: pid 7, {pid}" == first
    assert ["pid", "tenant", "provider", "base", "URL", "source", "state"] == heads.split()
    assert [
        ["all", "acme", "openai", "https://a.example", "env", "served"],
        ["7", "globex", "openai", "https://b.example", "env", "served"],
        [str(pid), "globex", "openai", "https://a.example", "env", "disabled"],
        ["7", "wonka", "openai", "https://a.example", "env", "served"],
    ] == [row.split() for row in rows]
    [wonka] = json.loads(run("list", "wonka", "--json", "--attach", str(directory)).stdout)
    assert ("wonka", "api_key", [7]) == (wonka["tenant"], wonka["credential"], wonka["pids"])
    assert "no tenants" in run("list", "nobody", "--attach", str(directory)).stdout


def test_live_processes_that_agree(live: Callable[..., Path], run: Callable[..., Result]) -> None:
    """Are one list, without their numbers; whoever is in quarantine is told of as here."""
    config = {"tenants": {"acme": {"api_key": {"env": "KEY"}}, "stark": {"tmeout": 1}}}
    directory = live(config, config)
    live_lines = run("list", "--attach", str(directory)).stdout.splitlines()

    assert f"live: pid 7, {os.getpid()}" == live_lines[0]
    assert ["acme", "openai", "(the", "SDK's", "own)", "env", "served"] == live_lines[2].split()
    assert ["stark", "-", "-", "-", "quarantined"] == live_lines[3].split()
