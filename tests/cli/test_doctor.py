"""`tenantry doctor`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tenantry.cli import exits

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result


def test_a_line_for_each(estate: object, run: Callable[..., Result]) -> None:
    """Each thing has a line with its mark; below a fault stands what to do next."""
    done = run("doctor")
    first, *lines = done.stdout.splitlines()

    assert exits.PROBLEMS == done.exit_code  # stark's mistake
    assert "fresh process, not your service" == first
    assert ["FAIL  configuration: 1 problem", "      next: tenantry check"] == lines[:2]
    assert {"ok", "warn", "FAIL", "next:"} >= {line.split()[0] for line in lines}
    assert "ok    source vault: reachable, and logged in" in lines


def test_as_json(estate: Any, run: Callable[..., Result]) -> None:
    """JSON has the same, in one document."""
    found = json.loads(run("doctor", "--json").stdout)

    assert {"mark", "subject", "told", "step"} == set(found[0])
    assert "fail" == found[0]["mark"]
    assert {"ok"} == {each["mark"] for each in found if each["subject"].startswith("source")}
    assert {None} == {each["step"] for each in found if each["mark"] == "ok"}


def test_all_is_well(run: Callable[..., Result], openai_server: Any, tmp_path: Any) -> None:
    """Where nothing fails the command is well, warnings or not."""
    file = tmp_path / "tenants.yaml"
    said = f"{{base_url: {openai_server.base_url}, api_key: {{env: KEY}}}}"
    file.write_text(f"tenants: {{acme: {said}}}")

    assert exits.OK == run("doctor", "--config", str(file)).exit_code


def test_the_documents_sample(sample: Any, on_terminal: Callable[..., Any]) -> None:
    """What the document shows is what a terminal of 80 columns shows."""
    sample.same(
        "doctor",
        on_terminal("doctor"),
        apart_from=("ok    openai", "ok    packages", "ok    not installed"),
    )
