"""Serves the shop on embedded servers, to two tenants at once, while their keys rotate."""

from __future__ import annotations

import argparse
import itertools
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from http import HTTPStatus
from http.cookiejar import CookieJar
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, ProxyHandler, Request, build_opener

from tenantry.testing import OpenAIServer, VaultServer

if TYPE_CHECKING:
    from collections.abc import Mapping

HERE = Path(__file__).resolve().parent
TENANTS = ("acme", "globex")
VISITORS = 2  # of each tenant
START_LIMIT = 60.0
SERVERS = {
    "runserver": ("manage.py", "runserver", "--noreload", "{address}"),
    "runserver-reloading": ("manage.py", "runserver", "{address}"),
    "uvicorn": ("-m", "uvicorn", "shop.asgi:application", "--port", "{port}", "--lifespan", "off"),
    "gunicorn": (
        "-m",
        "gunicorn",
        "shop.wsgi",
        "--workers=2",
        "--preload",
        "--no-control-socket",
        "--bind={address}",
    ),
}
PAGES = {
    "runserver": ("/greet", "/greet-async", "/stream"),
    "runserver-reloading": ("/greet",),
    "uvicorn": ("/greet", "/greet-async", "/greet-injected", "/stream-async"),
    "gunicorn": ("/greet", "/greet-async", "/greet-injected", "/stream"),
}
MEMBERS = """
from django.contrib.auth.models import User
from shop.models import Membership
for name in {tenants!r}:
    user = User.objects.create_user(f"user-of-{{name}}", password="made-up")
    Membership.objects.create(user=user, tenant=name)
"""


class Shop:
    """The shop, an OpenAI and a Vault, from entering to leaving it; leaves nothing behind."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.openai, self.vault = OpenAIServer(), VaultServer()
        self.keys: dict[str, str] = {}
        self.versions: dict[str, int] = dict.fromkeys(TENANTS, 0)
        self.port = _free_port()
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        for each in (self.openai, self.vault):
            self._exit.enter_context(each)
        made = self._exit.enter_context(tempfile.TemporaryDirectory(prefix="tenantry-shop-"))
        self.directory = Path(made)
        self.config = self.directory / "tenants.yaml"
        self.config.write_text((HERE / "tenants.yaml").read_text())
        self.log = self.directory / "log"
        for tenant in TENANTS:
            self.rotate(tenant)
        self.manage("migrate", "--verbosity=0")
        self.manage("shell", "--verbosity=0", "--command", MEMBERS.format(tenants=TENANTS))
        self._serve()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._exit.close()

    def rotate(self, tenant: str) -> None:
        """Put a new key into Vault, and revoke the old one at once."""
        old, new = self.keys.get(tenant), f"sk-{tenant}-{secrets.token_urlsafe(18)}"
        self.versions[tenant] += 1
        self.openai.allow(new, tenant=tenant, version=str(self.versions[tenant]))
        self.vault.put(f"tenants/{tenant}", {"api_key": new})
        if old is not None:
            self.openai.revoke(old)
        self.keys[tenant] = new

    def manage(self, *arguments: str) -> None:
        """Run a command of the shop."""
        command = [sys.executable, "manage.py", *arguments]
        subprocess.run(command, cwd=HERE, env=self._environ(), check=True, timeout=START_LIMIT)  # noqa: S603

    def _serve(self) -> None:
        said = {"port": self.port, "address": f"127.0.0.1:{self.port}"}
        command = [sys.executable, *(part.format(**said) for part in SERVERS[self.server])]
        log = self._exit.enter_context(self.log.open("wb"))
        process = subprocess.Popen(  # noqa: S603
            command, cwd=HERE, env=self._environ(), stdout=log, stderr=log, process_group=0
        )
        self._exit.callback(_end, process)
        deadline = time.monotonic() + START_LIMIT
        while not self._is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.server} did not start: {self.log.read_text()}")
            time.sleep(0.1)

    def _is_ready(self) -> bool:
        try:
            return Visitor(self.port).get("/readyz")[0] == HTTPStatus.OK
        except OSError:
            return False

    def _environ(self) -> dict[str, str]:
        return {
            **os.environ,
            "DATABASE": str(self.directory / "db.sqlite3"),
            "TENANTS": str(self.config),
            "OPENAI_URL": self.openai.base_url,
            "VAULT_ADDR": self.vault.url,
            "VAULT_TOKEN": self.vault.root_token,
            "PYTHONUNBUFFERED": "1",
        }


class Visitor:
    """Somebody with a browser: keeps cookies, and logs in as a user of a tenant."""

    def __init__(self, port: int, tenant: str = "") -> None:
        self._origin = f"http://127.0.0.1:{port}"
        self._cookies = CookieJar()
        self._browser = build_opener(HTTPCookieProcessor(self._cookies), ProxyHandler({}))
        self.opened = 0
        if tenant:
            self.get("/login")
            form = {"name": f"user-of-{tenant}", "password": "made-up"}
            self._ask("/login", urlencode(form).encode())

    def get(self, path: str) -> tuple[int, str]:
        """Open a page; return its status and text."""
        answer = self._ask(path)
        self.opened += 1
        return answer

    def _ask(self, path: str, form: bytes | None = None) -> tuple[int, str]:
        tokens = {each.name: each.value or "" for each in self._cookies}
        headers = {"X-CSRFToken": tokens.get("csrftoken", "")}
        request = Request(self._origin + path, form, headers)  # noqa: S310  # our own origin
        try:
            with self._browser.open(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()


class Traffic:
    """Visitors of all tenants at once; keys rotate while they are being served."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._visitors = {Visitor(shop.port, tenant): tenant for tenant in TENANTS * VISITORS}
        self._over = threading.Event()

    def run(self, rotations: int) -> dict[str, list[int]]:
        """Return the status of every page that was opened, by tenant."""
        statuses: dict[str, list[int]] = {tenant: [] for tenant in TENANTS}
        with ThreadPoolExecutor(len(self._visitors)) as pool:
            visits = {visitor: pool.submit(self._visit, visitor) for visitor in self._visitors}
            for _ in range(rotations):
                self._wait(visits)
                for tenant in TENANTS:
                    self._shop.rotate(tenant)
            self._wait(visits)
            self._over.set()
            for visitor, visit in visits.items():
                statuses[self._visitors[visitor]] += visit.result()
        return statuses

    def _visit(self, visitor: Visitor) -> list[int]:
        pages = itertools.cycle(PAGES[self._shop.server])
        statuses: list[int] = []
        while not self._over.is_set():
            statuses.append(visitor.get(f"{next(pages)}?name={self._visitors[visitor]}")[0])
        return statuses

    def _wait(self, visits: Mapping[Visitor, Future[list[int]]]) -> None:
        """Wait until whatever is in flight is over, and everybody was served since."""
        marks = {visitor: visitor.opened for visitor in visits}
        while any(not visits[each].done() and each.opened < marks[each] + 3 for each in visits):
            time.sleep(0.01)


def crossed(shop: Shop) -> int:
    """Count requests that bore another tenant's key than that of whom they were made for."""
    asked = (each for each in shop.openai.requests if each.status == HTTPStatus.OK)
    return sum(f"Greet {each.tenant} " not in each.body.decode() for each in asked)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", choices=SERVERS, default="runserver")
    parser.add_argument("--rotations", type=int, default=10)
    said = parser.parse_args()
    print(f"starting {said.server}, an OpenAI and a Vault ...")
    with Shop(said.server) as shop:
        failed = 0
        for tenant, statuses in Traffic(shop).run(said.rotations).items():
            wrong = sum(status != HTTPStatus.OK for status in statuses)
            failed += wrong
            print(f"{tenant}: {len(statuses)} pages, {shop.versions[tenant]} keys, {wrong} failed")
        print(f"{crossed(shop)} requests with another tenant's key")
        return 1 if failed or crossed(shop) else 0


def _end(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
