"""Type checkers know what tasks are given, and refuse options that there are not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("celery-stubs", reason="celery-types is not installed")

if TYPE_CHECKING:
    from collections.abc import Sequence

CHECKERS = [
    pytest.param(["mypy", "--strict", "--no-incremental"], id="mypy"),
    pytest.param(["pyright", "--pythonpath", sys.executable], id="pyright"),
]
BAD = """\
from celery import Celery
from tenantry import ClientRegistry
from tenantry.integrations.celery import install
from tenantry.testing import FakeRegistry

app = Celery("any")
fake = FakeRegistry("acme")
end = install(app, registry=fake)
install(app, fake)
install(app, registry="config/tenants.yaml")
registry: ClientRegistry = fake
registry.client(tiemout=5)
registry.client(base_url="https://elsewhere.test")
fake.fail_next("acme", ValueError)
fake.fail_next("acme", 429, retry_afer=3)
fake.client("acme", max_retries="many")
end()
"""


@pytest.mark.parametrize("checker", CHECKERS)
def test_typing(checker: Sequence[str], tmp_path: Path) -> None:
    """A misspelt option, an address, what is no fault are errors, and nothing else is."""
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    (tmp_path / "bad.py").write_text(BAD)
    command = [str(Path(sys.executable).with_name(checker[0])), *checker[1:], "bad.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    found = sorted(set(re.findall(r"(\w+\.py):(\d+)\b.* error:", done.stdout)))

    wrong = ("10", "12", "13", "14", "15", "16", "9")
    assert [("bad.py", line) for line in wrong] == found, done.stdout
