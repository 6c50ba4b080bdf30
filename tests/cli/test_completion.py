"""`tenantry completion`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tenantry.cli import exits
from tenantry.cli.completion import SHELLS

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_has_its_own(shell: str, run: Callable[..., Result]) -> None:
    """What is printed calls the command back in the way of that shell."""
    done = run("completion", shell)

    assert exits.OK == done.exit_code
    assert f"_TENANTRY_COMPLETE={shell}_complete" in done.stdout


def test_another_shell(run: Callable[..., Result]) -> None:
    """A shell that nothing is known of is refused."""
    assert exits.USAGE == run("completion", "tcsh").exit_code
