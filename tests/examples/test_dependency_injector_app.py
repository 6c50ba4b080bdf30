"""The dependency-injector example serves two tenants at once while their keys rotate."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenantry.testing import OpenAIServer

EXAMPLE = Path(__file__).parents[2] / "examples" / "dependency_injector_app"
LIMIT = 60.0
REQUESTS = 40  # of each tenant
ROTATIONS = 5

run = SimpleNamespace(**runpy.run_path(str(EXAMPLE / "run.py")))

SHOWN = """\
alice of acme: Hello from tenantry. (key of acme, v1)
bob of globex: Hello from tenantry. (key of globex, v1)
-- the keys were replaced, and the old ones revoked
alice of acme: Hello from tenantry. (key of acme, v2)
bob of globex: Hello from tenantry. (key of globex, v2)
"""


@pytest.fixture
def url(openai_server: OpenAIServer, tmp_path: Path) -> Iterator[str]:
    run.rotate(openai_server, tmp_path, 1)
    environ = {"OPENAI_SERVER": openai_server.base_url, "KEYS": str(tmp_path)}
    with run.serving(environ) as url:
        yield url


def test_two_tenants_at_once(url: str, openai_server: OpenAIServer, tmp_path: Path) -> None:
    """While keys are replaced and revoked, each caller is answered with its own tenant's key."""
    answers: dict[str, list[str]] = {caller: [] for caller in run.CALLERS}
    halfway = threading.Barrier(3)

    def ask(caller: str) -> None:
        for number in range(REQUESTS):
            if number % (REQUESTS // ROTATIONS) == 0:
                halfway.wait(LIMIT)
            answers[caller].append(run.ask(url, caller))

    threads = [threading.Thread(target=ask, args=(caller,)) for caller in run.CALLERS]
    for thread in threads:
        thread.start()
    for version in range(2, ROTATIONS + 2):
        halfway.wait(LIMIT)  # both are asking now
        run.rotate(openai_server, tmp_path, version)
    for thread in threads:
        thread.join(LIMIT)

    assert dict.fromkeys(run.CALLERS, ["Hello from tenantry."] * REQUESTS) == answers
    for tenant in run.CALLERS.values():
        assert REQUESTS == openai_server.count(tenant=tenant, status=200)
    newest = {request.version for request in openai_server.requests[-4:]}
    assert {str(ROTATIONS + 1)} == newest


def test_an_endpoint_is_given_the_client(url: str) -> None:
    """The endpoint that takes a client itself lists the models with it."""
    assert ["gpt-4o-mini", "text-embedding-3-small"] == _get(f"{url}/models", "alice")


def test_strangers(url: str, openai_server: OpenAIServer) -> None:
    """Who is nobody's user is refused by the application itself."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        _get(f"{url}/models", "mallory")
    with refused.value:
        assert 401 == refused.value.code
    assert () == openai_server.requests


def test_a_tenant_without_a_key(openai_server: OpenAIServer, tmp_path: Path) -> None:
    """A tenant whose key is missing is told to come again; the other one is served."""
    run.rotate(openai_server, tmp_path, 1)
    (tmp_path / "acme").unlink()
    environ = {"OPENAI_SERVER": openai_server.base_url, "KEYS": str(tmp_path)}
    with run.serving(environ) as url:
        with pytest.raises(urllib.error.HTTPError) as unavailable:
            run.ask(url, "alice")
        assert "Hello from tenantry." == run.ask(url, "bob")
    with unavailable.value as answer:
        problem = json.load(answer)
    assert (503, "The tenant cannot be served at the moment.") == (answer.code, problem["detail"])
    assert 1 <= int(answer.headers["Retry-After"])


def _get(url: str, caller: str) -> object:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer token-of-{caller}"})
    with urllib.request.urlopen(request, timeout=LIMIT) as answer:
        return json.load(answer)


def test_one_command() -> None:
    """It runs with one command, and prints whose key served whom."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLE / "run.py")],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert (SHOWN, "") == (done.stdout, done.stderr)
