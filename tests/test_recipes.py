"""Every block of the recipes does what it says, with the library that it is for."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from tenantry.testing import FakeRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenantry.testing import OpenAIServer

RECIPES = Path(__file__).parent.parent / "docs" / "recipes.md"
LIMIT = 100.0  # seconds for a script

CONFIGURATION = """\
defaults: {{base_url: "{base_url}", api_key: {{file: "keys/{{tenant}}"}}}}
tenants: {{acme: , globex: }}
"""

_BLOCK = re.compile(
    r"^#+ ([^\n]+)$|^(?:<!-- (\w+)(?:: (\S+))? -->\n)?```python\n(.*?)^```",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Recipe:
    """One block: what it stands under, the package that it needs, and whether it is a script."""

    title: str
    needs: str
    is_script: bool
    code: str


def _recipes() -> Iterator[Recipe]:
    title = ""
    for match in _BLOCK.finditer(RECIPES.read_text(encoding="utf-8")):
        if match[1]:
            title = match[1]
        else:
            yield Recipe(title, match[3] or "", match[2] == "script", match[4])


ALL = list(_recipes())


def _parameters(*, scripts: bool) -> list[object]:
    return [
        pytest.param(recipe, id=f"{recipe.title}-{number}")
        for number, recipe in enumerate(ALL)
        if recipe.is_script == scripts
    ]


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry("acme", "globex") as made:
        made.reply("acme", '{"text": "Hello"}')
        yield made


def test_all_blocks_are_found() -> None:
    """No block is left out because of how it is written."""
    assert RECIPES.read_text(encoding="utf-8").count("```python") == len(ALL)


# What other packages warn about while they are imported is not for us to mend.
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("recipe", _parameters(scripts=False))
def test_a_recipe_speaks_for_its_tenant(recipe: Recipe, registry: FakeRegistry) -> None:
    """The block runs as it stands, and acme's request carries acme's key."""
    _skip_without(recipe.needs)
    module = ModuleType("recipe")
    vars(module)["registry"] = registry
    exec(compile(recipe.code, recipe.title, "exec"), vars(module))
    assert [(200, "1")] * len(registry.sent()) == [
        (sent.status, sent.version) for sent in registry.sent()
    ]
    assert registry.sent("acme")


@pytest.mark.parametrize("recipe", _parameters(scripts=True))
def test_a_script_speaks_for_both_tenants(
    recipe: Recipe, openai_server: OpenAIServer, tmp_path: Path
) -> None:
    """The script runs as it stands; each tenant's request comes with its own key."""
    _skip_without(recipe.needs)
    (tmp_path / "keys").mkdir()
    for tenant in ("acme", "globex"):
        openai_server.allow(f"sk-{tenant}", tenant=tenant)
        (tmp_path / "keys" / tenant).write_text(f"sk-{tenant}")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "tenants.yaml").write_text(
        CONFIGURATION.format(base_url=openai_server.base_url)
    )
    script = tmp_path / "script.py"
    script.write_text(recipe.code)
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, timeout=LIMIT, check=False
    )
    assert (0, b"") == (done.returncode, done.stderr)
    assert ["acme", "globex"] == sorted(str(each.tenant) for each in openai_server.requests)


def _skip_without(package: str) -> None:
    if package and not _is_installed(package):
        pytest.skip(f"{package} is not installed beside this openai")


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except ModuleNotFoundError:
        return False
