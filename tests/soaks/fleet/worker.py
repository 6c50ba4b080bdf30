"""One process of a fleet: sends requests for tenants of the catalog that all share.

Run as a script. Each line that it reads is a question in JSON, and each that it writes an answer.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from tenantry import ClientRegistry
from tenantry.errors import CatalogUnavailableError, CredentialUnavailableError, TenantryError
from tenantry.secret import Secret

if TYPE_CHECKING:
    from openai import OpenAI

PAUSE = 0.05  # seconds between two requests of a thread
TRIES = 200  # to have a tenant for the first time
SHOWN = 200  # characters of an error


class Worker:
    """A registry, a thread and a loop that use it until the end, and what failed meanwhile."""

    def __init__(self, config: dict[str, Any], environ: dict[str, str]) -> None:
        self.registry = ClientRegistry.open(config, environ=environ)
        self.sent = 0
        self.failed: list[dict[str, Any]] = []
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []

    def load(self, names: list[str]) -> int:
        """Have every tenant, its key and its clients in memory."""
        return sum(self._loaded(name) for name in names)

    def _loaded(self, name: str) -> bool:
        for _ in range(TRIES):
            try:
                self.registry.client(name).models.list()
            except (CatalogUnavailableError, CredentialUnavailableError):
                time.sleep(PAUSE)  # the machine is busy: many start at the same time
            else:
                return True
        return False

    def work(self, names: list[str]) -> int:
        """Begin to send requests for these, over and over."""
        targets = [self._send, lambda names: asyncio.run(self._asend(names))]
        self._threads = [threading.Thread(target=each, args=(names,)) for each in targets]
        for thread in self._threads:
            thread.start()
        return len(self._threads)

    def rest(self) -> dict[str, Any]:
        """Send no more; returns what failed."""
        self._over.set()
        for thread in self._threads:
            thread.join()
        return {"sent": self.sent, "failed": self.failed}

    def states(self, names: list[str]) -> dict[str, str]:
        """Return how each tenant would be served now."""
        return {name: self._state(name) for name in names}

    def serves(self, name: str, key: str) -> bool:
        """Whether a tenant's requests bear that key from now on."""
        # Each process has fingerprints of its own.
        return self.registry.status(name).credentials[0].fingerprint == Secret(key).fingerprint

    def tries(self, names: list[str]) -> dict[str, str]:
        """Send a request for each; returns what came of it."""
        return {name: self._tried(name) for name in names}

    def end(self) -> None:
        self.rest()
        self.registry.close()

    def _state(self, name: str) -> str:
        try:
            client = self.registry.client(name)
        except CatalogUnavailableError:
            return "unknown as yet"
        except TenantryError as error:
            return type(error).__name__
        return f"{client.base_url} {_version(client)}"

    def _tried(self, name: str) -> str:
        try:
            self.registry.client(name).models.list()
        except TenantryError as error:
            return type(error).__name__
        return "answered"

    def _send(self, names: list[str]) -> None:
        for name in itertools.cycle(names):
            if self._over.wait(PAUSE):
                return
            try:
                self.registry.client(name).models.list()
            except Exception as error:  # noqa: BLE001  # counted, whatever it is
                self._note(name, error)
            self.sent += 1

    async def _asend(self, names: list[str]) -> None:
        for name in itertools.cycle(reversed(names)):
            if self._over.is_set():
                return
            await asyncio.sleep(PAUSE)
            try:
                await self.registry.aload(name)
                await self.registry.async_client(name).models.list()
            except Exception as error:  # noqa: BLE001  # counted, whatever it is
                self._note(name, error)
            self.sent += 1

    def _note(self, name: str, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"[:SHOWN]
        kind, at = type(error).__name__, time.monotonic()
        self.failed.append({"name": name, "kind": kind, "text": text, "at": at})


def _version(client: OpenAI) -> str:
    return str(client.default_headers["X-Version"])


def main() -> None:
    worker = Worker(**json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        method, *arguments = json.loads(line)
        print(json.dumps(getattr(worker, method)(*arguments)), flush=True)  # noqa: T201  # answers
        if method == "end":
            return


if __name__ == "__main__":
    main()
