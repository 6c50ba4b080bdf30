"""`tenantry show`."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from tenantry.cli import exits
from tenantry.settings import TenantSettings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result


def settings(done: Result, part: str = "") -> dict[str, Any]:
    return {each["setting"]: each for each in json.loads(done.stdout)[part]}


def test_every_setting_has_a_value_and_an_origin(
    estate: object, run: Callable[..., Result]
) -> None:
    """All that a tenant may say is there, with the line that said it or `default`."""
    shown = settings(run("show", "globex", "--json"))

    assert set(TenantSettings.model_fields) <= {name.partition(".")[0] for name in shown}
    assert ("azure", "config/tenants.yaml:13:12") == (
        shown["provider"]["value"],
        shown["provider"]["origin"],
    )
    assert "default" == shown["max_retries"]["origin"]


def test_endpoints_are_shown_with_their_own(estate: object, run: Callable[..., Result]) -> None:
    """Each endpoint has a part of its own; with `--endpoint` it is the only one."""
    assert "5s" == settings(run("show", "acme", "--json"), "eu")["timeout.read"]["value"]
    assert ["eu"] == list(json.loads(run("show", "acme", "--json", "--endpoint", "eu").stdout))
    shown = run("show", "acme", "--said")
    assert "acme, endpoint eu" in shown.stdout.splitlines()
    assert "default\n" not in shown.stdout


def test_what_is_redacted(estate: Any, run: Callable[..., Result]) -> None:
    """Headers and literals are named, and not shown."""
    done = run("show", "hooli")

    assert "default_headers.X-Team" in done.stdout
    assert "literal" in done.stdout
    assert [] == estate.found_in(done.output)


def test_whoever_is_not_there(estate: object, run: Callable[..., Result]) -> None:
    """An unknown name is a matter of usage, and near ones are told; a quarantine says its cause."""
    unknown = run("show", "acmee")
    assert exits.USAGE == unknown.exit_code
    assert "did you mean 'acme'?" in unknown.stderr
    assert exits.USAGE == run("show", "acme", "--endpoint", "us").exit_code
    stark = run("show", "stark")
    assert exits.CONFIGURATION == stark.exit_code
    assert "tmeout" in stark.stderr


def test_a_live_process_shows_its_settings(
    live: Callable[..., Path], run: Callable[..., Result]
) -> None:
    """What all say stands once; where they differ one stands below the other, with its number."""
    said = {"api_key": {"env": "KEY"}, "max_retries": 1, "organization": "planted-org"}
    here = {"tenants": {"acme": said}}
    directory = live(here, {"tenants": {"acme": {**said, "max_retries": 2}}})
    shown = run("show", "acme", "--said", "--attach", str(directory))
    first, _, name, heads, *rows = shown.stdout.splitlines()
    pid = str(os.getpid())

    assert (f"live: pid 7, {pid}", "acme") == (first, name)
    assert ["pid", "setting", "value", "origin"] == heads.split()
    assert [["all", "api_key"], ["7", "max_retries"], [pid, "max_retries"]] == [
        row.split()[:2] for row in rows[:3]
    ]
    as_json = json.loads(run("show", "acme", "--json", "--attach", str(directory)).stdout)
    retries = [each for each in as_json[""] if each["setting"] == "max_retries"]
    assert [("2", [7]), ("1", [os.getpid()])] == [(each["value"], each["pids"]) for each in retries]


def test_a_live_process_that_knows_no_such_tenant(
    live: Callable[..., Path], run: Callable[..., Result]
) -> None:
    """Is told of beside what the others show, and with the exit code of an unknown name."""
    key = {"api_key": {"env": "KEY"}}
    directory = live(
        {"tenants": {"acme": {**key, "endpoints": {"eu": {}}}}}, {"tenants": {"x": key}}
    )
    done = run("show", "acme", "--endpoint", "eu", "--attach", str(directory))

    assert exits.USAGE == done.exit_code
    assert "pid 7: unknown tenant 'acme'" in done.stderr
    assert "acme, endpoint eu" in done.stdout.splitlines()
