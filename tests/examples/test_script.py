"""The script example: every tenant is answered, before and after the keys rotate."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "script"
LIMIT = 60.0
SHOWN = """\
-- sync
acme: Hello from tenantry.
globex: Hello from tenantry.
-- async
acme: Hello from tenantry.
globex: Hello from tenantry.
-- the keys were replaced in Vault, and the old ones revoked
acme: Hello from tenantry.
globex: Hello from tenantry.
-- what the server saw
acme: 3 requests answered, with its key in v1 v1 v2
globex: 3 requests answered, with its key in v1 v1 v2
"""


def test_one_command() -> None:
    """It runs with one command, warns of nothing, and every tenant gets its own newest key."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLE / "run.py")],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert (SHOWN, "") == (done.stdout, done.stderr)
