"""Type checkers know the container's clients, and what may be asked of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent

# A line is refused where it says so, and accepted where it does not.
SNIPPET = """\
from typing import assert_type

from openai import AsyncOpenAI, OpenAI

from tenantry import ClientRegistry
from tenantry.integrations.dependency_injector import (
    AsyncClientFor,
    ClientFor,
    TenantryContainer,
)

container = TenantryContainer(config="config/tenants.yaml")
assert_type(container.client(tenant="acme", timeout=5), OpenAI)
assert_type(container.async_client("acme", max_retries=0), AsyncOpenAI)
assert_type(container.registry(), ClientRegistry)
container.client(tenant="acme", timeuot=5)  # refused
container.client(tenant="acme", base_url="https://elsewhere.example")  # refused
container.async_client(tenant="acme", api_key="key")  # refused
container.client(tenant=5)  # refused

sync: ClientFor = container.client
async_: AsyncClientFor = container.async_client
held: ClientFor = container.registry().client
sync("acme", base_url="https://elsewhere.example")  # refused
wrong: ClientFor = container.async_client  # refused
"""
REFUSED = {
    number for number, line in enumerate(SNIPPET.splitlines(), 1) if line.endswith("# refused")
}


@pytest.fixture
def snippet(tmp_path: Path) -> Path:
    file = tmp_path / "snippet_of_dependency_injector.py"
    file.write_text(SNIPPET)
    return file


def test_mypy(snippet: Path) -> None:
    """Mypy, strict, refuses what could move a credential or is misspelt, and nothing else."""
    command = ["mypy", "--strict", "--output", "json", str(snippet)]
    found = [json.loads(line) for line in _output(command).splitlines() if line.startswith("{")]
    # By name: its cache tells of the directory that the file stood in when it was first read.
    problems = [each for each in found if Path(each["file"]).name == snippet.name]
    assert REFUSED == {each["line"] for each in problems}, found


def test_pyright(snippet: Path, tmp_path: Path) -> None:
    """So does pyright, strict."""
    settings: dict[str, Any] = {
        "include": [snippet.name],
        "typeCheckingMode": "strict",
        "extraPaths": [str(ROOT / "src")],
    }
    project = tmp_path / "pyrightconfig.json"
    project.write_text(json.dumps(settings))
    command = ["pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(project)]
    problems = json.loads(_output(command))["generalDiagnostics"]
    assert {str(snippet)} == {each["file"] for each in problems}, problems
    assert REFUSED == {each["range"]["start"]["line"] + 1 for each in problems}, problems


def _output(command: list[str]) -> str:
    done = subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert "" == done.stderr, done.stdout
    return done.stdout
