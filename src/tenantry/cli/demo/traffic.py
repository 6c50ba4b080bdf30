"""The demo's traffic: sync threads and async tasks, each with clients from a DI container."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

from tenantry.events import Event, RequestReplayed
from tenantry.integrations.dependency_injector import TenantryContainer

if TYPE_CHECKING:
    from tenantry.cli.demo.estate import Estate

THREADS = 3
TASKS = 6
PAUSE = 0.01  # seconds between two requests of one worker: a demo is watched, not a benchmark


class Traffic:
    """Sends requests for every tenant at once, from entering to leaving it."""

    def __init__(self, estate: Estate) -> None:
        self.replayed: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.failures: list[str] = []
        self._names = [tenant.name for tenant in estate.tenants]
        self._container = TenantryContainer(config=estate.config, environ=estate.environ)
        self._stop = threading.Event()
        self._quiet = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(number,), name=f"demo-{number}")
            for number in range(THREADS)
        ]
        self._loop_thread = threading.Thread(target=self._send_async, name="demo-async")

    def __enter__(self) -> Self:
        self._container.init_resources()
        self._container.registry().subscribe(self._note_event)
        for thread in (*self._threads, self._loop_thread):
            thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._quiet.set()
        self._loop_thread.join()
        self._container.shutdown_resources()

    def _send(self, number: int) -> None:
        dice = random.Random(number)  # noqa: S311  # which tenant comes next is no secret
        while not self._stop.wait(PAUSE):
            tenant = dice.choice(self._names)
            try:
                self._ask(self._container.client(tenant=tenant, timeout=10), dice)
            except Exception as error:  # noqa: BLE001  # counted and shown, whatever it is
                self._note_failure(tenant, error)

    def _ask(self, client: Any, dice: random.Random) -> None:
        messages = [{"role": "user", "content": "hello"}]
        if dice.random() < _STREAMED:
            for _ in client.chat.completions.create(model="demo", messages=messages, stream=True):
                pass
        else:
            client.chat.completions.create(model="demo", messages=messages)

    def _send_async(self) -> None:
        asyncio.run(self._tasks())

    async def _tasks(self) -> None:
        await asyncio.gather(*(self._task(THREADS + number) for number in range(TASKS)))
        # The registry is closed here, where its async connections live, once the threads are done.
        await asyncio.to_thread(self._quiet.wait)
        await self._container.registry().aclose()

    async def _task(self, number: int) -> None:
        dice = random.Random(number)  # noqa: S311  # which tenant comes next is no secret
        while not self._stop.is_set():
            await asyncio.sleep(PAUSE)
            tenant = dice.choice(self._names)
            try:
                client: Any = self._container.async_client(tenant=tenant, max_retries=1)
                await client.responses.create(model="demo", input="hello")
            except Exception as error:  # noqa: BLE001  # counted and shown, whatever it is
                self._note_failure(tenant, error)

    def _note_event(self, event: Event) -> None:
        if isinstance(event, RequestReplayed):
            self.replayed[event.tenant] += 1

    def _note_failure(self, tenant: str, error: Exception) -> None:
        self.failed[tenant] += 1
        if len(self.failures) < _SHOWN:
            self.failures.append(f"{tenant}: {type(error).__name__}: {error}")


_STREAMED = 0.25
_SHOWN = 5
