"""The documentation of testing is itself a test that passes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

TESTING = Path(__file__).parent.parent.parent / "docs" / "testing.md"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS = BLOCK.findall(TESTING.read_text(encoding="utf-8"))


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_a_block_passes_as_it_stands(block: str, pytester: pytest.Pytester) -> None:
    """A file of nothing but the block finds our fixtures and passes."""
    pytester.makepyfile(block)
    outcomes = pytester.runpytest_subprocess("-p", "no:cacheprovider").parseoutcomes()
    assert {"passed": block.count("def test_")} == outcomes
