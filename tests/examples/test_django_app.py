"""The Django example serves two tenants at once, on each kind of server, while keys rotate."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

RUN = Path(__file__).parents[2] / "examples" / "django_app" / "run.py"
LIMIT = 60.0
ROTATIONS = 3


@pytest.fixture(scope="module")
def run() -> ModuleType:
    spec: Any = importlib.util.spec_from_file_location("django_app_run", RUN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("server", ["runserver", "uvicorn", "gunicorn"])
def test_two_tenants_at_once(run: Any, server: str) -> None:
    """Every page is served with the key of its visitor's tenant, whatever rotates meanwhile."""
    with run.Shop(server) as shop:
        statuses = run.Traffic(shop).run(ROTATIONS)
        assert {tenant: {HTTPStatus.OK} for tenant in run.TENANTS} == {
            tenant: set(each) for tenant, each in statuses.items()
        }
        assert 0 == run.crossed(shop)
        served = {(each.tenant, each.version) for each in shop.openai.requests}
        assert len(run.TENANTS) * (ROTATIONS + 1) == len(served)


@pytest.mark.parametrize(
    ("server", "page"), [("gunicorn", "/stream"), ("uvicorn", "/stream-async")]
)
def test_what_else_it_does(run: Any, server: str, page: str) -> None:
    """It streams, refuses strangers with a problem, is checked clean, and lacks no migration."""
    with run.Shop(server) as shop:
        assert (200, "Hello from tenantry.") == run.Visitor(shop.port, "acme").get(page)
        status, problem = run.Visitor(shop.port).get("/greet")
        assert (400, True) == (status, "The request names no tenant." in problem)
        assert (200, '{"status": "ok", "sources": {"vault": "ok"}}') == run.Visitor(shop.port).get(
            "/readyz"
        )
        shop.manage("check", "--fail-level=WARNING")
        shop.manage("makemigrations", "--check", "--dry-run")


def test_a_changed_configuration(run: Any) -> None:
    """`runserver` takes a changed configuration in place: nothing starts anew."""
    with run.Shop("runserver-reloading") as shop:
        acme, globex = (run.Visitor(shop.port, tenant) for tenant in run.TENANTS)
        assert (200, 200) == (acme.get("/greet")[0], globex.get("/greet")[0])
        config = shop.config.read_text()
        shop.config.write_text(config.replace("organization: org-acme", "enabled: false"))
        deadline = time.monotonic() + LIMIT
        while acme.get("/greet")[0] == 200:
            assert time.monotonic() < deadline
        assert (403, 200) == (acme.get("/greet")[0], globex.get("/greet")[0])
        assert "reloading" not in shop.log.read_text()


def test_one_command() -> None:
    """The command of the README does what it says."""
    done = subprocess.run(
        [sys.executable, str(RUN), "--server", "runserver", "--rotations", "2"],
        capture_output=True,
        text=True,
        timeout=2 * LIMIT,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert re.search(r"acme: \d+ pages, 3 keys, 0 failed", done.stdout)
    assert "0 requests with another tenant's key" in done.stdout
