"""Start an OpenAI server and a worker, and send it two tenants' tasks while a key rotates."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tenantry import use_tenant
from tenantry.testing import OpenAIServer

if TYPE_CHECKING:
    from collections.abc import Generator

    from celery.result import AsyncResult

HERE = Path(__file__).parent
TENANTS = ("acme", "globex")
TASKS = 40
LIMIT = 60.0  # seconds for each task, and for the worker to end

CONFIGURATION = """\
defaults:
  base_url: {base_url}
  api_key: {{file: "{folder}/keys/{{tenant}}"}}
  default_headers: {{x-tenant: "{{tenant}}"}}
tenants: {{acme: , globex: }}
"""


def rotate(tenant: str, server: OpenAIServer, folder: Path) -> None:
    """Put a new key where the tenant's configuration points, and revoke the one of before."""
    file, key = folder / "keys" / tenant, f"sk-{tenant}-{secrets.token_urlsafe(12)}"
    server.allow(key, tenant=tenant)
    before = file.read_text() if file.exists() else None
    fresh = file.with_suffix(".new")
    fresh.write_text(key)
    fresh.replace(file)
    if before is not None:
        server.revoke(before)


@contextmanager
def worker() -> Generator[None]:
    """Run `celery worker` with two forked processes."""
    command = [sys.executable, "-m", "celery", "--quiet", "--app", "tasks", "worker"]
    options = ["--concurrency", "2", "--loglevel", "warning", "--without-gossip"]
    process = subprocess.Popen([*command, *options], cwd=HERE)  # noqa: S603  # all of it is ours
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(LIMIT)


def send_all(server: OpenAIServer, folder: Path) -> int:
    """Send tasks for both tenants in turn, rotate acme's key in the middle; return the failed."""
    from tasks import summarize

    sent: list[AsyncResult[str]] = []
    for number in range(TASKS):
        if number == TASKS // 2:
            sent[-1].get(timeout=LIMIT)
            rotate("acme", server, folder)
            print("rotated acme's key, and revoked the old one")
        with use_tenant(TENANTS[number % 2]):
            sent.append(summarize.delay(f"text {number}"))
    for each in sent:
        each.get(timeout=LIMIT, propagate=False)
    return sum(not each.successful() for each in sent)


def main() -> int:
    """Run everything and tell what came of it; 0 where nothing failed."""
    with tempfile.TemporaryDirectory(prefix="tenantry-celery-") as name, OpenAIServer() as server:
        folder = Path(name)
        for part in ("keys", "messages", "results"):
            (folder / part).mkdir()
        for tenant in TENANTS:
            rotate(tenant, server, folder)
        config = folder / "tenants.yaml"
        config.write_text(CONFIGURATION.format(base_url=server.base_url, folder=folder))
        os.environ.update(EXAMPLE_FOLDER=name, TENANTRY_CONFIG=str(config))
        with worker():
            failed = send_all(server, folder)
        answered = [request for request in server.requests if request.status == 200]  # noqa: PLR2004
    wrong = sum(request.tenant != request.header["x-tenant"] for request in answered)
    for tenant in TENANTS:
        keys = {request.key for request in answered if request.tenant == tenant}
        print(f"{tenant}: {sum(r.tenant == tenant for r in answered)} answers, {len(keys)} keys")
    print(f"{TASKS} tasks, {failed} failed, {wrong} with another tenant's key")
    return int(failed + wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
