"""The FastAPI example serves two companies at once while their keys rotate."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "fastapi_app"
LIMIT = 60.0
ROUNDS = 20

run = SimpleNamespace(**runpy.run_path(str(EXAMPLE / "run.py")))


@pytest.mark.parametrize("server", ["uvicorn", "gunicorn"])
def test_two_companies(server: str) -> None:
    """On each server every question is answered, with the key of the company that asked."""
    with run.Service(server) as service:
        answers = run.ask_all(service, ROUNDS)
        used = {(each.tenant, each.version) for each in service.openai.requests}

        assert {"acme": [True] * ROUNDS, "globex": [True] * ROUNDS} == answers, service.log()
        assert 0 == run.crossed(service)
        assert {("acme", "5"), ("globex", "5")} <= used
        assert {"acme": 5, "globex": 5} == service.versions


def test_strangers() -> None:
    """Who is nobody's user is refused by the application itself, before a tenant is looked for."""
    with run.Service("uvicorn") as service:
        refused = requests.post(f"{service.url}/ask", json={"text": "hi"}, timeout=LIMIT)
        described = requests.get(f"{service.url}/openapi.json", timeout=LIMIT).json()
        asked = service.openai.requests

    assert (401, "Who are you?") == (refused.status_code, refused.json()["detail"])
    assert {"400", "403", "404", "503"} <= described["paths"]["/ask"]["post"]["responses"].keys()
    assert () == asked


def test_one_command() -> None:
    """It runs with one command, and prints what it did."""
    command = [sys.executable, str(EXAMPLE / "run.py"), "--rounds", "8"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)

    assert "acme: 8 questions, 2 keys, 8 answers" in done.stdout, done.stderr
    assert "0 failed, 0 with another company's key" in done.stdout
    assert 0 == done.returncode


@pytest.mark.parametrize("checker", [["mypy", "--strict"], ["pyright"]])
def test_typing(checker: list[str]) -> None:
    """The application is what type checkers accept at their strictest, as it stands."""
    command = [
        str(Path(sys.executable).with_name(checker[0])),
        *checker[1:],
        str(EXAMPLE / "app.py"),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout
