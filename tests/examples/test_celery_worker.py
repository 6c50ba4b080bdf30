"""The Celery example runs as its README says: a real worker, two tenants, a key that rotates."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "celery_worker"
LIMIT = 100.0  # seconds; it takes ten

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("celery") is None, reason="celery is not installed"
)


def test_no_task_fails_while_a_key_rotates() -> None:
    """Forked workers answer all tasks with their sender's key, the new one after the rotation."""
    done = subprocess.run(
        [sys.executable, EXAMPLE / "run.py"],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert 0 == done.returncode, done.stderr
    expected = [
        "rotated acme's key, and revoked the old one",
        "acme: 20 answers, 2 keys",
        "globex: 20 answers, 1 keys",
        "40 tasks, 0 failed, 0 with another tenant's key",
    ]
    assert expected == [line for line in done.stdout.splitlines() if line in expected]
    assert "sk-" not in done.stdout + done.stderr
