"""The problems of a configuration, none of which may tell the secret in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tenantry.errors import ConfigError
from tenantry.loading import load
from tenantry.sources import kinds

if TYPE_CHECKING:
    from pathlib import Path

    from tenantry.errors import Problem

SECRET = "hunter2"


def found(tmp_path: Path, text: str, **environ: str) -> tuple[Problem, ...]:
    file = tmp_path / "t.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file, environ=environ, kinds=kinds())
    error = caught.value
    shown = f"{error!s}{error!r}{error.problems!r}{error.args!r}"
    assert SECRET not in shown
    assert "hünter" not in shown
    return error.problems


def by_tenant(tmp_path: Path, said: str) -> tuple[Problem, ...]:
    return found(tmp_path, f"tenants:\n  acme:\n    {said}\n")
