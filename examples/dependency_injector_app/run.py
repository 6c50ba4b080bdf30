"""Runs the service on an OpenAI server of its own, and rotates the keys while it serves."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tenantry.testing import OpenAIServer

CALLERS = {"alice": "acme", "bob": "globex"}
STARTUP_LIMIT = 60.0


def rotate(openai: OpenAIServer, keys: Path, version: int) -> None:
    """Put new keys in the files' places, and revoke the old ones at once."""
    for tenant in CALLERS.values():
        file = keys / tenant
        old = file.read_text() if file.exists() else None
        key = f"key-{version}-of-{tenant}"
        openai.allow(key, tenant=tenant, version=str(version))
        fresh = file.with_suffix(".new")
        fresh.write_text(key)
        fresh.replace(file)
        if old is not None:
            openai.revoke(old)


@contextmanager
def serving(environ: dict[str, str]) -> Generator[str]:
    """Serve the application with uvicorn; gives its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = [sys.executable, "-m", "uvicorn", "app:api", "--fd", str(listener.fileno())]
        process = subprocess.Popen(  # noqa: S603  # our own command
            [*command, "--log-level", "warning"],
            cwd=Path(__file__).parent,
            env={**os.environ, **environ},
            pass_fds=[listener.fileno()],
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def ask(url: str, caller: str) -> str:
    """Ask for a summary, as that caller."""
    request = urllib.request.Request(  # noqa: S310  # our own address
        f"{url}/summaries",
        json.dumps({"text": "A long story."}).encode(),
        {"Authorization": f"Bearer token-of-{caller}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=STARTUP_LIMIT) as answer:  # noqa: S310  # likewise
        return str(json.load(answer))


def ask_all(url: str, openai: OpenAIServer) -> None:
    for caller, tenant in CALLERS.items():
        text = ask(url, caller)
        last = openai.requests[-1]
        print(f"{caller} of {tenant}: {text} (key of {last.tenant}, v{last.version})")


def main() -> None:
    with OpenAIServer() as openai, tempfile.TemporaryDirectory() as directory:
        keys = Path(directory)
        rotate(openai, keys, 1)
        with serving({"OPENAI_SERVER": openai.base_url, "KEYS": str(keys)}) as url:
            ask_all(url, openai)
            rotate(openai, keys, 2)
            print("-- the keys were replaced, and the old ones revoked")
            ask_all(url, openai)


if __name__ == "__main__":
    main()
