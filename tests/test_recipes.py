"""Every block of the recipes does what it says, with the library that it is for."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import openai
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenantry.testing import OpenAIServer

RECIPES = Path(__file__).parent.parent / "docs" / "recipes.md"
LIMIT = 100.0  # seconds for a script

CONFIGURATION = """\
defaults: {{base_url: "{base_url}", api_key: {{file: "keys/{{tenant}}"}}}}
tenants: {{acme: , globex: }}
"""

# Around a block that is no script: the registry that it speaks of, and what became of it.
BEFORE = """\
import sys
from tenantry.testing import FakeRegistry

asked = []
sys.addaudithook(lambda event, _: asked.append(event) if event in (
    "socket.connect", "socket.getaddrinfo") else None)
registry = FakeRegistry("acme", "globex")
registry.reply("acme", '{"text": "Hello"}')
"""
AFTER = """
import json
from pathlib import Path
sent = [(each.tenant, each.status, each.version) for each in registry.sent()]
Path("done.json").write_text(json.dumps({"asked": asked, "sent": sent}))
"""

_BLOCK = re.compile(
    r"^#+ ([^\n]+)$|^(?:<!-- (\w+)(?:: (\S+?))?(?:, openai (\d))? -->\n)?```python\n(.*?)^```",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Recipe:
    """One block: what it stands under, the package that it needs, and whether it is a script.

    `sdk` is the one generation of the SDK that the package installs beside; "" is any.
    """

    title: str
    needs: str
    sdk: str
    is_script: bool
    code: str


def _recipes() -> Iterator[Recipe]:
    title = ""
    for match in _BLOCK.finditer(RECIPES.read_text(encoding="utf-8")):
        if match[1]:
            title = match[1]
        else:
            yield Recipe(title, match[3] or "", match[4] or "", match[2] == "script", match[5])


ALL = list(_recipes())


def _parameters(*, scripts: bool) -> list[object]:
    return [
        pytest.param(recipe, id=f"{recipe.title}-{number}")
        for number, recipe in enumerate(ALL)
        if recipe.is_script == scripts
    ]


def test_all_blocks_are_found() -> None:
    """No block is left out because of how it is written."""
    assert RECIPES.read_text(encoding="utf-8").count("```python") == len(ALL)


@pytest.mark.parametrize("recipe", _parameters(scripts=False))
def test_a_recipe_speaks_for_its_tenant(recipe: Recipe, tmp_path: Path) -> None:
    """The block runs as it stands, acme's request carries acme's key, and nothing else is asked."""
    _skip_beside_another_sdk(recipe)
    done = _run(BEFORE + recipe.code + AFTER, tmp_path)
    assert 0 == done.returncode, done.stderr
    told = json.loads((tmp_path / "done.json").read_text())
    assert {(200, "1")} == {(status, version) for _, status, version in told["sent"]}
    assert "acme" in {tenant for tenant, _, _ in told["sent"]}
    assert [] == told["asked"]


@pytest.mark.parametrize("recipe", _parameters(scripts=True))
def test_a_script_speaks_for_both_tenants(
    recipe: Recipe, openai_server: OpenAIServer, tmp_path: Path
) -> None:
    """The script runs as it stands; each tenant's request comes with its own key."""
    (tmp_path / "keys").mkdir()
    for tenant in ("acme", "globex"):
        openai_server.allow(f"sk-{tenant}", tenant=tenant)
        (tmp_path / "keys" / tenant).write_text(f"sk-{tenant}")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "tenants.yaml").write_text(
        CONFIGURATION.format(base_url=openai_server.base_url)
    )
    done = _run(recipe.code, tmp_path)
    assert (0, "") == (done.returncode, done.stderr)
    assert ["acme", "globex"] == sorted(str(each.tenant) for each in openai_server.requests)


def _skip_beside_another_sdk(recipe: Recipe) -> None:
    """What is not installed beside the SDK that it is for is a failure, and nothing to skip."""
    if recipe.sdk not in ("", openai.__version__.partition(".")[0]):
        pytest.skip(f"{recipe.needs} is for openai {recipe.sdk}")


def _run(code: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own: what these packages leave behind ends with it."""
    script = directory / "script.py"
    script.write_text(code)
    return subprocess.run(
        [sys.executable, script],
        cwd=directory,
        env=os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"},  # or it asks GitHub for one
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
