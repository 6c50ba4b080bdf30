"""`tenantry list`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tenantry.cli import exits

if TYPE_CHECKING:
    from collections.abc import Callable

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
