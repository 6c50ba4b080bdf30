"""Files that are edited, broken, cut short and emptied under traffic cost nobody a request."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from typing import TYPE_CHECKING, Self

import pytest

from tenantry import ClientRegistry, ConfigError
from tenantry.loading import read_contents
from tenantry.watching import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tenantry.testing import OpenAIServer

QUIET = [f"quiet-{number}" for number in range(10)]
EDITED = [f"edited-{number}" for number in range(20)]
WORKERS = 3


class Desk:
    """Somebody who edits one file, a watcher that looks when told to, and what came of it."""

    def __init__(self, home: Path, server: OpenAIServer, *, seed: int) -> None:
        self.dice = random.Random(seed)
        self.home = home
        self.file = home / "edited.yaml"
        self.counts: Counter[str] = Counter()
        main = {
            "registry": {"idle_after": None},
            "defaults": {"base_url": server.base_url, "api_key": {"env": "KEY"}},
        }
        (home / "tenantry.yaml").write_text(
            "\n".join(f"{k}: {v}" for k, v in main.items()).replace("None", "null")
        )
        (home / "quiet.yaml").write_text("tenants:\n" + "".join(f"  {n}:\n" for n in QUIET))
        self.text = self.valid()
        self.file.write_text(self.text)
        self.registry = ClientRegistry.open(home, environ={"KEY": "sk-1"})
        self.watcher = Watcher(
            [home],
            read_contents([home]),
            3600.0,
            self.registry._reloader.reload_if_right,
            self.registry._secrets.schedule,
            lambda _, job: job(),
        )

    def valid(self) -> str:
        lines = [
            f"  {name}: {{max_retries: {self.dice.randrange(5)}, labels: {{n: x}}}}\n"
            for name in EDITED
        ]
        return "tenants:\n" + "".join(lines)

    def edit(self) -> None:
        """Do one of the things that happen to files; what is whole again has settled."""
        kind: Callable[[], None] = self.dice.choice(
            [self.rewrite, self.rewrite, self.halfway, self.break_it, self.empty, self.break_one]
        )
        kind()
        self.counts[kind.__name__] += 1

    def settle(self, text: str) -> None:
        self.file.write_text(text)
        self.watcher.look()
        self.watcher.look()

    def rewrite(self) -> None:
        self.text = self.valid()
        self.settle(self.text)

    def halfway(self) -> None:
        """A look falls into the middle of writing: at any byte."""
        text = self.valid()
        self.file.write_bytes(text.encode()[: self.dice.randrange(len(text))])
        self.watcher.look()
        with_fewer_or_none(self.registry)
        self.text = text
        self.settle(text)

    def break_it(self) -> None:
        self.settle(self.text + "  - not a mapping")

    def break_one(self) -> None:
        self.settle(self.text.replace("max_retries: ", "max_retries: many ", 1))

    def empty(self) -> None:
        """The directory is there, and for a moment nothing is in it."""
        elsewhere = self.home.with_name("elsewhere")
        self.home.rename(elsewhere)
        self.home.mkdir()
        self.watcher.look()
        self.watcher.look()
        self.home.rmdir()
        elsewhere.rename(self.home)
        self.settle(self.text)


def with_fewer_or_none(registry: ClientRegistry) -> None:
    """Ask what a reload of a file that was cut short would do; nothing changes."""
    try:
        registry.plan()
    except ConfigError:
        return


class Callers:
    """Threads, one of them with an event loop, that ask for tenants in turn; notes what failed."""

    def __init__(self, registry: ClientRegistry) -> None:
        self.failed: list[BaseException] = []
        self.answered = 0
        self._registry = registry
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._use, args=(n,)) for n in range(WORKERS)]
        self._threads.append(threading.Thread(target=lambda: asyncio.run(self._ause())))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def _use(self, number: int) -> None:
        names = random.Random(number).sample([*QUIET, *EDITED], 30)
        held = {name: self._registry.client(name) for name in names[:5]}
        while not self._over.is_set():
            for name in names:
                try:
                    (held.get(name) or self._registry.client(name)).models.list()
                    self.answered += 1
                except BaseException as error:  # noqa: BLE001  # whatever it is, it is counted
                    self.failed.append(error)

    async def _ause(self) -> None:
        while not self._over.is_set():
            for name in (*QUIET, *EDITED):
                try:
                    await self._registry.async_client(name).models.list()
                    self.answered += 1
                except BaseException as error:  # noqa: BLE001  # whatever it is, it is counted
                    self.failed.append(error)


@pytest.mark.parametrize("edits", [60, pytest.param(1000, marks=pytest.mark.stress)])
@pytest.mark.timeout(600)
def test_edits_under_traffic_cost_nobody_a_request(
    openai_server: OpenAIServer, tmp_path: Path, edits: int
) -> None:
    """No request fails, and tenants that nobody edits keep their clients and their sockets."""
    openai_server.allow("sk-1")
    home = tmp_path / "config"
    home.mkdir()
    desk = Desk(home, openai_server, seed=edits)
    with desk.registry as registry:
        quiet = {name: registry.client(name) for name in QUIET}
        for client in quiet.values():
            client.models.list()
        sockets = {name: client._client.connections._pool for name, client in quiet.items()}  # type: ignore[attr-defined]
        with Callers(registry) as callers:
            for _ in range(edits):
                desk.edit()
        assert [] == callers.failed
        assert quiet == {name: registry.client(name) for name in QUIET}
        assert sockets == {
            name: client._client.connections._pool  # type: ignore[attr-defined]
            for name, client in quiet.items()
        }
        assert {*QUIET, *EDITED} == set(registry.tenants)
    print(f"{dict(desk.counts)}: {callers.answered} requests, none failed")  # noqa: T201
    assert callers.answered > edits
