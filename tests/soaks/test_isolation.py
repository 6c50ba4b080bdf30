"""Two hundred tenants at once, evicted, changed, rotated: each request is of one tenant alone."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
import re
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import pytest

from tenantry import ClientRegistry
from tenantry.catalog import LazyCatalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from openai import AsyncOpenAI, OpenAI

MARK = re.compile(rb"t\d{3}x")  # stands in all that one tenant says, and in nothing else
NAMES = [f"t{number:03}x" for number in range(200)]
PER_FILE = 10
THREADS, LOOPS, TASKS = 3, 2, 5
PER_LOOP = 25  # requests of a task before its loop ends and another one begins
LIMIT = 240.0  # seconds after which what does not happen fails its test
EVENT = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": []}
EVENTS = f"data: {json.dumps(EVENT)}\n\ndata: [DONE]\n\n"
ANSWER = json.dumps(
    {"id": "1", "object": "list", "created": 1, "model": "m", "choices": [], "data": []}
)


# -- the server -----------------------------------------------------------------------------------


class Inspector:
    """A server that looks at every byte of a request for marks, and gives each tenant a cookie."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()  # requests by tenant, and by what they were
        self.violations: list[str] = []
        self.connections = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        starting = asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**20)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(10)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *exc_info: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, OSError), contextlib.closing(writer):
            tenants: set[bytes] = set()  # a socket is one tenant's, too
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
                body = await reader.readexactly(int(length[1])) if length else b""
                tenants.update(self._inspected(head, body))
                if len(tenants) != 1:
                    self.violations.append(f"one socket for {sorted(tenants)}")
                writer.write(self._answer(head, body))
                await writer.drain()

    def _inspected(self, head: bytes, body: bytes) -> set[bytes]:
        """Note what is wrong with a request; return whose marks are in it."""
        marks = set(MARK.findall(head + body))
        missing = [place for place, found in PLACES.items() if not found.search(head)]
        if len(marks) != 1 or missing or b"\r\ncookie:" in head.lower():
            self.violations.append(f"{sorted(marks)}, without {missing}: {head.splitlines()[0]!r}")
        self.seen.update([*(mark.decode() for mark in marks), "requests"])
        return marks

    def _answer(self, head: bytes, body: bytes) -> bytes:
        streamed = b'"stream":true' in body.replace(b" ", b"")
        kind, text = ("text/event-stream", EVENTS) if streamed else ("application/json", ANSWER)
        [mark] = MARK.findall(head)[:1]
        lines = (
            "HTTP/1.1 200 OK",
            f"content-type: {kind}",
            f"content-length: {len(text)}",
            f"set-cookie: session={mark.decode()}; Path=/",
        )
        return "\r\n".join((*lines, "", text)).encode()


# Where every request bears the mark of its tenant.
PLACES = {
    "path": re.compile(rb"^[A-Z]+ /t\d{3}x/"),
    "query": re.compile(rb"^[^\r]*[?&]tenant=t\d{3}x"),
    "key": re.compile(rb"(?i)\r\n(authorization: Bearer|api-key:) sk-t\d{3}x-\d+\r\n"),
    "organization": re.compile(rb"(?i)\r\nopenai-organization: org-t\d{3}x-\d+\r\n"),
    "project": re.compile(rb"(?i)\r\nopenai-project: proj-t\d{3}x(-clone)?\r\n"),
    "header": re.compile(rb"(?i)\r\nx-tenant: t\d{3}x\r\n"),
    "secret header": re.compile(rb"(?i)\r\nx-gateway-key: gw-t\d{3}x\r\n"),
}


# -- the estate -----------------------------------------------------------------------------------


Put: TypeAlias = "Callable[[dict[str, dict[str, Any]]], None]"


class Estate:
    """A directory of tenants, half of them with keys in files, which others rewrite meanwhile.

    Args:
        put: puts tenants into a database at `dsn`; they stand in files unless said.
    """

    def __init__(
        self, home: Path, url: str, dice: random.Random, put: Put | None = None, dsn: str = ""
    ) -> None:
        self.home, self.url, self.dice = home, url, dice
        self._put = put or self._put_in_file
        self.counts: Counter[str] = Counter()
        self._numbers = itertools.count(1)
        (home / "keys").mkdir()
        (home / "config").mkdir()
        for name in NAMES:
            self._rotate(name)
        registry = {"idle_after": 0.3, "max_clients": 60, "max_sockets": 80, "warm": "none"}
        main = {"registry": registry, "defaults": {"max_retries": 0, "timeout": 60}}
        main |= self._on_engine() if put else {}
        (home / "config" / "tenantry.yaml").write_text(json.dumps(main))
        for first in range(0, len(NAMES), PER_FILE):
            self._write(first)
        environ = {f"{name.upper()}_GW": f"gw-{name}" for name in NAMES}
        environ |= {f"{name.upper()}_KEY": f"sk-{name}-0" for name in NAMES} | {"DSN": dsn}
        self.registry = ClientRegistry.open(home / "config", environ=environ)
        for name in NAMES:
            self.registry.catalog.get(name)  # read once, so that loops need not wait for it

    def change(self) -> None:
        """Do one of the things that happen to tenants in their lives."""
        what = self.dice.choice([self._reload, self._evict, *[self._rotate_any] * 3])
        what()
        self.counts[what.__name__.strip("_")] += 1

    def _reload(self) -> None:
        for _ in range(2):
            self._write(self.dice.randrange(0, len(NAMES), PER_FILE))
        catalog = self.registry.catalog
        if isinstance(catalog, LazyCatalog):
            before = catalog.revision
            catalog.poll()
            self.counts["changed tenants"] += len(catalog.changes(before) or ())
        else:
            self.counts["changed tenants"] += len(self.registry.reload().changed)

    def _evict(self) -> None:
        for name in self.dice.sample(NAMES, 20):
            self.registry.evict(name)

    def _rotate_any(self) -> None:
        for name in self.dice.sample(NAMES, 10):
            self._rotate(name)

    def _rotate(self, name: str) -> None:
        new = self.home / "keys" / f"{name}.new"
        new.write_text(f"sk-{name}-{next(self._numbers)}")
        new.replace(self.home / "keys" / name)

    def _write(self, first: int) -> None:
        self._put({name: self._said(name) for name in NAMES[first : first + PER_FILE]})

    def _put_in_file(self, said: dict[str, dict[str, Any]]) -> None:
        new = self.home / "new"
        new.write_text(json.dumps({"tenants": said}))
        new.replace(self.home / "config" / f"{min(said)}.yaml")

    def _on_engine(self) -> dict[str, Any]:
        """Return what else is said where the tenants are rows."""
        secrets = {"env": ["*_GW", "*_KEY"], "file": [f"{self.home}/keys/{{tenant}}"]}
        return {
            "catalog": {"postgres": {"dsn": {"env": "DSN"}}},
            "allow": {"origins": [self.url], "secrets": secrets},
        }

    def _said(self, name: str) -> dict[str, Any]:
        number = NAMES.index(name)
        said: dict[str, Any] = {
            "organization": f"org-{name}-{next(self._numbers)}",
            "project": f"proj-{name}",
            "default_headers": {"X-Tenant": name, "X-Gateway-Key": {"env": f"{name.upper()}_GW"}},
            "default_query": {"tenant": name},
            "labels": {"n": str(next(self._numbers))},
        }
        if number % 4 < 2:
            file = {"path": str(self.home / "keys" / name), "refresh": {"every": 0.2}}
            said["api_key"] = {"file": file}
        else:
            said["api_key"] = {"env": f"{name.upper()}_KEY"}
        address = "azure_endpoint" if number % 2 else "base_url"
        if number % 2:
            said |= {"provider": "azure", "api_version": "1"}
        said[address] = f"{self.url}/{name}"
        if has_endpoint(name):
            said["endpoints"] = {"us": {address: f"{self.url}/{name}/us"}}
        return said


def has_endpoint(name: str) -> bool:
    return NAMES.index(name) % 5 == 0


# -- traffic --------------------------------------------------------------------------------------


class Traffic:
    """Sends so many requests, from threads and from tasks on loops that come and go."""

    def __init__(self, estate: Estate, requests: int) -> None:
        self.estate = estate
        self.failures: list[str] = []
        self.sent: Counter[str] = Counter()
        self._left = iter(range(requests))
        self._lock = threading.Lock()  # guards all above
        work: list[Callable[[int], None]] = [*[self._work] * THREADS, *[self._loops] * LOOPS]
        self._threads = [
            threading.Thread(target=each, args=(seed,)) for seed, each in enumerate(work)
        ]

    def run(self) -> None:
        """Send everything, while the estate changes."""
        for thread in self._threads:
            thread.start()
        end = time.monotonic() + LIMIT
        while any(thread.is_alive() for thread in self._threads):
            assert time.monotonic() < end, f"{self.sent} took longer than {LIMIT:g} s"
            self.estate.change()
            time.sleep(0.02)

    def _turn(self, kind: str) -> bool:
        """Whether there is another request to send."""
        with self._lock:
            self.sent[kind] += 1
            if next(self._left, None) is not None:
                return True
            self.sent[kind] -= 1
            return False

    def _note(self, error: Exception) -> None:
        with self._lock:
            self.failures.append(f"{type(error).__name__}: {error}")

    def _work(self, seed: int) -> None:
        dice, held = random.Random(seed), Held()
        while self._turn("threads"):
            try:
                name, client = held.chosen(dice, self.estate.registry.client)
                asked(name, client, dice)
            except Exception as error:  # noqa: BLE001  # counted, whatever it is
                self._note(error)

    def _loops(self, seed: int) -> None:
        dice, held = random.Random(100 + seed), Held()
        while asyncio.run(self._tasks(dice, held)):
            pass

    async def _tasks(self, dice: random.Random, held: Held) -> bool:
        return all(await asyncio.gather(*(self._task(dice, held) for _ in range(TASKS))))

    async def _task(self, dice: random.Random, held: Held) -> bool:
        for _ in range(PER_LOOP):
            if not self._turn("tasks"):
                return False
            try:
                name, client = held.chosen(dice, self.estate.registry.async_client)
                await asked_async(name, client, dice)
            except Exception as error:  # noqa: BLE001  # counted, whatever it is
                self._note(error)
        return True


class Held:
    """Clients that a worker keeps for longer than the registry does, and clones of clones."""

    def __init__(self) -> None:
        self._clients: list[tuple[str, Any]] = []

    def chosen(self, dice: random.Random, hand_out: Callable[..., Any]) -> tuple[str, Any]:
        """Return a client that is held, or a new one, or a clone of either."""
        if self._clients and dice.random() < 0.3:
            name, client = dice.choice(self._clients)
        else:
            name = dice.choice(NAMES)
            endpoint = dice.choice([None, "us"]) if has_endpoint(name) else None
            options = optional(name, dice) if dice.random() < 0.4 else {}
            client = hand_out(name, endpoint=endpoint, **options)
        if dice.random() < 0.3:
            client = dice.choice([client.with_options, client.copy])(**optional(name, dice))
        if dice.random() < 0.1:
            self._clients = [*self._clients[-30:], (name, client)]
        return name, client


def optional(name: str, dice: random.Random) -> dict[str, Any]:
    """Return some of the options that the SDK's clients take."""
    every: dict[str, Any] = {
        "timeout": 50,
        "max_retries": 0,
        "project": f"proj-{name}-clone",
        "default_headers": {"X-Clone": name},
        "default_query": {"clone": name},
    }
    return {key: every[key] for key in dice.sample(sorted(every), dice.randrange(1, 4))}


def arguments(name: str) -> dict[str, Any]:
    return {"model": f"m-{name}", "messages": [{"role": "user", "content": f"I am {name}"}]}


def asked(name: str, client: OpenAI, dice: random.Random) -> None:
    """Send one request of any kind."""
    match dice.randrange(5):
        case 0:
            list(client.chat.completions.create(**arguments(name), stream=True))
        case 1:
            client.models.list(extra_headers={"X-Call": name})
        case 2:
            client.files.create(file=(name, b"{}"), purpose="batch", extra_query={"call": name})
        case _:
            client.chat.completions.create(**arguments(name))


async def asked_async(name: str, client: AsyncOpenAI, dice: random.Random) -> None:
    """Do what `asked` does."""
    match dice.randrange(5):
        case 0:
            async for _ in await client.chat.completions.create(**arguments(name), stream=True):
                pass
        case 1:
            await client.models.list(extra_headers={"X-Call": name})
        case 2:
            file = (name, b"{}")
            await client.files.create(file=file, purpose="batch", extra_query={"call": name})
        case _:
            await client.chat.completions.create(**arguments(name))


@pytest.fixture
def inspector() -> Iterator[Inspector]:
    with Inspector() as server:
        yield server


@pytest.mark.parametrize(
    "requests",
    [
        pytest.param(1_000, id="short"),
        pytest.param(20_000, id="long", marks=pytest.mark.stress),
    ],
)
@pytest.mark.timeout(300)
def test_each_request_is_of_one_tenant(
    inspector: Inspector, tmp_path: Path, requests: int, on: dict[str, Any]
) -> None:
    """Key, organization, project, headers, query, path, body and socket are one tenant's.

    No cookie comes back, and no request fails.
    """
    estate = Estate(tmp_path, inspector.url, random.Random(requests), **on)
    traffic, began = Traffic(estate, requests), time.monotonic()
    with estate.registry:
        traffic.run()
    took = time.monotonic() - began
    print(  # noqa: T201  # read with -s
        f"\n{took:.1f} s, {inspector.seen['requests']} requests {dict(traffic.sent)} on"
        f" {inspector.connections} sockets, {len(inspector.seen) - 1} tenants;"
        f" {len(inspector.violations)} violations, {len(traffic.failures)} failed;"
        f" {dict(estate.counts)}"
    )
    assert [] == inspector.violations
    assert [] == traffic.failures
    assert requests == inspector.seen["requests"] == sum(traffic.sent.values())
    assert 0.9 * len(NAMES) < len(inspector.seen) - 1
