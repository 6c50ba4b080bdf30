"""`tenantry show`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tenantry.cli import exits
from tenantry.settings import TenantSettings

if TYPE_CHECKING:
    from collections.abc import Callable

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
