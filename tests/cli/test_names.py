"""Tenants' names, for shells to complete."""

from __future__ import annotations

from typing import TYPE_CHECKING

from click.shell_completion import ShellComplete

from tenantry.cli.commands import tenantry
from tenantry.cli.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path


def completed(arguments: list[str], incomplete: str) -> list[str]:
    obj = {"obj": Terminal()}
    found = ShellComplete(tenantry, obj, "tenantry", "_X").get_completions(arguments, incomplete)
    return [each.value for each in found]


def test_names_are_completed(tmp_path: Path) -> None:
    """Names that begin with what was typed, of the configuration that the line names."""
    file = tmp_path / "tenants.yaml"
    file.write_text("defaults: {api_key: {env: KEY}}\ntenants: {acme: , apex: , globex: }")

    assert ["acme", "apex"] == completed(["--config", str(file), "ping"], "a")
    assert ["globex"] == completed(["show", "--config", str(file)], "g")


def test_nothing_is_completed(tmp_path: Path) -> None:
    """Where nothing can be read there are no names, and no error in the middle of a line."""
    assert [] == completed(["--config", str(tmp_path / "none.yaml"), "show"], "a")


def test_commands_are_completed() -> None:
    """Commands complete, too."""
    assert {"plan", "ping"} == set(completed([], "p"))
