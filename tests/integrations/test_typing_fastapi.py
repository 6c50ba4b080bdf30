"""Type checkers know what endpoints are given, and refuse options that there are not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

CHECKERS = [
    pytest.param(["mypy", "--strict", "--no-incremental"], id="mypy"),
    pytest.param(["pyright", "--pythonpath", sys.executable], id="pyright"),
]
GOOD = """\
from typing import Annotated

from fastapi import Depends, FastAPI
from openai import AsyncOpenAI
from tenantry import ClientRegistry
from tenantry.integrations.fastapi import (
    ClaimedTenant, SyncTenantClient, TenantClient, TenantName, TenantRegistry,
    claim, install, tenant_client, trusted_header,
)

app = FastAPI()


async def user() -> dict[str, str]:
    return {"tenant": "acme"}


def may_act(tenant: ClaimedTenant) -> bool:
    return tenant.startswith("a")


install(app, "config/tenants.yaml", tenant=claim(user, "tenant"), unknown=403, probes=True)
header = trusted_header("X-Tenant", authorize=may_act)
Fast = Annotated[AsyncOpenAI, Depends(tenant_client(timeout=5, max_retries=0, endpoint="eu"))]


@app.get("/")
async def endpoint(
    one: TenantClient, two: SyncTenantClient, three: Fast, name: TenantName, all_: TenantRegistry
) -> str:
    registry: ClientRegistry = all_
    first = (await one.models.list()).data[0].id + two.models.list().data[0].id
    return first + (await three.models.retrieve("m")).id + name.upper() + repr(registry)
"""
BAD = """\
from tenantry.integrations.fastapi import sync_tenant_client, tenant_client

tenant_client(tiemout=5)
tenant_client(base_url="https://elsewhere.test")
sync_tenant_client(max_retries="many")
"""


@pytest.mark.parametrize("checker", CHECKERS)
def test_typing(checker: Sequence[str], tmp_path: Path) -> None:
    """Endpoints are typed as the SDK's own clients; a misspelt option and an address are errors."""
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "bad.py").write_text(BAD)
    command = [str(Path(sys.executable).with_name(checker[0])), *checker[1:], "good.py", "bad.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    found = re.findall(r"(\w+\.py):(\d+)\b.* error:", done.stdout)

    assert [("bad.py", line) for line in ("3", "4", "5")] == found, done.stdout + done.stderr
