"""The demo's options and its exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tenantry.cli import exits

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

    from tenantry.cli.terminal import Terminal


@pytest.mark.parametrize(("passed", "code"), [(True, exits.OK), (False, exits.PROBLEMS)])
def test_it_is_run_as_it_was_told(
    passed: bool, code: int, run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options and `--json` reach the demo, and a failed request is a failed command."""
    told: list[Any] = []

    def stand_in(terminal: Terminal, **options: Any) -> bool:
        told.append({"as_json": terminal.as_json, **options})
        return passed

    monkeypatch.setattr("tenantry.cli.demo.run.run", stand_in)
    assert code == run("demo", "--seconds", "2", "--tenants", "7", "--json").exit_code
    assert [{"seconds": 2.0, "tenants": 7, "as_json": True}] == told
