"""Type checkers know what views are given, and refuse options that there are not."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Sequence

# Django has no types of its own; with django-stubs the one error that is disabled is none either.
CHECKERS = [
    pytest.param(
        ["mypy", "--strict", "--no-incremental", "--disable-error-code=import-untyped"], id="mypy"
    ),
    pytest.param(["pyright", "--pythonpath", sys.executable], id="pyright"),
]
GOOD = """\
from openai import AsyncOpenAI, OpenAI
from tenantry.integrations.django import (
    TenantRequest, aget_client, async_clients, clients, from_user, get_client, get_registry,
    get_tenant, subdomain, trusted_header,
)


def may_act(request: object, tenant: str) -> bool:
    return tenant.startswith("a")


resolvers = (
    from_user("organization.slug"),
    trusted_header("X-Tenant", authorize="shop.may_act"),
    subdomain("example.com", authorize=may_act),
)


def view(request: TenantRequest) -> str:
    one: OpenAI = request.openai
    two: OpenAI = get_client(request, timeout=5, max_retries=0, endpoint="eu")
    names = [get_tenant(request), *clients, *get_registry().tenants]
    return one.models.list().data[0].id + two.models.retrieve("m").id + "".join(names)


async def async_view(request: TenantRequest) -> str:
    one: AsyncOpenAI = request.async_openai
    two: AsyncOpenAI = await aget_client(request, timeout=5)
    page = await async_clients["acme"].models.list()
    models = [await client.models.retrieve("m") for client in (one, two)]
    return models[0].id + page.data[0].id
"""
BAD = """\
from tenantry.integrations.django import TenantRequest, aget_client, get_client, trusted_header

trusted_header("X-Tenant")
def view(request: TenantRequest) -> None:
    get_client(request, tiemout=5)
    get_client(request, base_url="https://elsewhere.test")
    get_client(request, max_retries="many")
async def async_view(request: TenantRequest) -> None:
    await aget_client(request, tiemout=5)
"""


@pytest.mark.parametrize("checker", CHECKERS)
def test_typing(checker: Sequence[str], tmp_path: Path) -> None:
    """Clients are typed as the SDK's own; a misspelt option, an address, no rule are errors."""
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    (tmp_path / "good.py").write_text(GOOD)
    (tmp_path / "bad.py").write_text(BAD)
    command = [str(Path(sys.executable).with_name(checker[0])), *checker[1:], "good.py", "bad.py"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    found = sorted(set(re.findall(r"(\w+\.py):(\d+)\b.* error:", done.stdout)))

    assert [("bad.py", line) for line in ("3", "5", "6", "7", "9")] == found, done.stdout
