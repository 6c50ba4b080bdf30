"""Serves the questions of two companies at once, on embedded servers, while their keys rotate."""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import requests
from websockets.sync.client import connect

from tenantry.testing import OpenAIServer, VaultServer

HERE = Path(__file__).resolve().parent
TOKENS = {"acme": "token-of-ann", "globex": "token-of-bob"}
PATHS = ("/ask", "/ask-sync", "/stream", "/talk")
SERVERS = {
    "uvicorn": ("uvicorn", "app:app", "--fd={fd}"),
    "gunicorn": (
        *("gunicorn", "app:app", "--bind=fd://{fd}", "--workers=2", "--preload"),
        *("--worker-class=uvicorn_worker.UvicornWorker", "--no-control-socket"),
    ),
}
LIMIT = 60.0


class Service:
    """The application on a real server, an OpenAI and a Vault; leaves nothing behind."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.openai, self.vault = OpenAIServer(), VaultServer()
        self.versions = dict.fromkeys(TOKENS, 0)
        self._keys: dict[str, str] = {}
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as entered:
            entered.enter_context(self.openai)
            entered.enter_context(self.vault)
            self._log = entered.enter_context(tempfile.TemporaryFile("w+"))
            for company in TOKENS:
                self.rotate(company)
            # Who is given a socket that listens already can lose its port to nobody.
            with socket.create_server(("127.0.0.1", 0)) as listener:
                self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
                process = self._started(listener.fileno())
            entered.callback(_end, process)
            self._wait_for(process)
            self._exit = entered.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._exit.close()

    def rotate(self, company: str) -> None:
        """Put a new key into Vault, and revoke the old one at once."""
        old, new = self._keys.get(company), f"sk-{company}-{secrets.token_urlsafe(18)}"
        self.versions[company] += 1
        self.openai.allow(new, tenant=company, version=str(self.versions[company]))
        self.vault.put(f"tenants/{company}", {"api_key": new})
        if old is not None:
            self.openai.revoke(old)
        self._keys[company] = new

    def ask(self, company: str, path: str) -> bool:
        """Ask as a user of a company; return whether there was an answer."""
        headers = {"Authorization": f"Bearer {TOKENS[company]}"}
        question = f"Greetings from {company}"
        if path == "/talk":
            return bool(_talk(f"ws{self.url.removeprefix('http')}{path}", headers, question))
        reply = requests.post(
            f"{self.url}{path}", json={"text": question}, headers=headers, timeout=LIMIT
        )
        return reply.ok and bool(reply.text)

    def log(self) -> str:
        """Return what the server printed."""
        self._log.seek(0)
        return self._log.read()

    def _started(self, fd: int) -> subprocess.Popen[str]:
        environ = {
            "OPENAI_URL": self.openai.base_url,
            "VAULT_ADDR": self.vault.url,
            "VAULT_TOKEN": self.vault.root_token,
        }
        module, *arguments = SERVERS[self.server]
        return subprocess.Popen(  # noqa: S603  # our own command
            [sys.executable, "-m", module, *(each.format(fd=fd) for each in arguments)],
            cwd=HERE,
            env={**os.environ, **environ},
            pass_fds=[fd],
            stdout=self._log,
            stderr=self._log,
            text=True,
        )

    def _wait_for(self, process: subprocess.Popen[str]) -> None:
        deadline = time.monotonic() + LIMIT
        while not self._is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.server} did not start:\n{self.log()}")
            time.sleep(0.1)

    def _is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", timeout=1).ok
        except requests.RequestException:
            return False


def ask_all(service: Service, rounds: int, rotate_every: int = 5) -> dict[str, list[bool]]:
    """Ask for all companies at the same time, each one's key rotating every so many questions."""

    def questions(company: str) -> list[bool]:
        answered: list[bool] = []
        for number in range(1, rounds + 1):
            if number % rotate_every == 0:
                service.rotate(company)
            answered.append(service.ask(company, PATHS[number % len(PATHS)]))
        return answered

    with ThreadPoolExecutor(len(TOKENS)) as threads:
        return dict(zip(TOKENS, threads.map(questions, TOKENS), strict=True))


def crossed(service: Service) -> int:
    """Count answered requests that bore another company's key than that of who asked."""
    answered = [each for each in service.openai.requests if each.status == requests.codes.ok]
    return sum(f"Greetings from {each.tenant}" not in each.body.decode() for each in answered)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", choices=SERVERS, default="uvicorn")
    parser.add_argument("--rounds", type=int, default=60)
    said = parser.parse_args()
    print(f"starting {said.server}, an OpenAI and a Vault ...")
    with Service(said.server) as service:
        answers = ask_all(service, said.rounds)
        failed = sum(not each for company in answers.values() for each in company)
        for company, answered in answers.items():
            keys = service.versions[company]
            print(f"{company}: {len(answered)} questions, {keys} keys, {sum(answered)} answers")
        print(f"{failed} failed, {crossed(service)} with another company's key")
        return int(bool(failed or crossed(service)))


def _talk(url: str, headers: dict[str, str], question: str) -> str:
    with connect(url, additional_headers=headers, proxy=None, open_timeout=LIMIT) as websocket:
        websocket.send(question)
        return str(websocket.recv(timeout=LIMIT))


def _end(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    sys.exit(main())
