"""Type checkers, strict, accept every example as it stands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
EXAMPLES = sorted(path for path in (ROOT / "examples").iterdir() if any(path.glob("*.py")))
LIMIT = 110.0

# What Django leaves untyped is unknown to whoever uses it.
UNTYPED = {"examples/django_app"}
UNKNOWN = (
    "reportMissingTypeStubs",
    "reportUnknownArgumentType",
    "reportUnknownMemberType",
    "reportUnknownVariableType",
)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_mypy(example: Path) -> None:
    """Mypy finds nothing in an example, whose files import each other as they do when they run."""
    beside = {} if _name(example) in UNTYPED else {"MYPYPATH": str(example)}
    done = _run("mypy", "--strict", *map(str, sorted(example.rglob("*.py"))), environ=beside)
    assert (0, "") == (done.returncode, done.stderr), done.stdout


def test_pyright(tmp_path: Path) -> None:
    """Pyright finds nothing in any of them."""
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(_settings(tmp_path)))
    done = _run("pyright", "--pythonpath", sys.executable, "-p", str(tmp_path))
    assert (0, "") == (done.returncode, done.stderr), done.stdout


def _settings(project: Path) -> dict[str, Any]:
    source = str(ROOT / "src")
    return {
        "typeCheckingMode": "strict",
        "include": [os.path.relpath(example, project) for example in EXAMPLES],
        "executionEnvironments": [
            {"root": os.path.relpath(example, project), "extraPaths": [source, str(example)]}
            | (dict.fromkeys(UNKNOWN, "none") if _name(example) in UNTYPED else {})
            for example in EXAMPLES
        ],
    }


def _name(example: Path) -> str:
    return example.relative_to(ROOT).as_posix()


def _run(
    tool: str, *arguments: str, environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / tool), *arguments],
        cwd=ROOT,
        env=os.environ | (environ or {}),
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
