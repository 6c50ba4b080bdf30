"""A fleet: workers that are processes, the catalog that they share, and who changes it."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

import pytest
from tests.soaks.fleet.lines import Lines

from tenantry.catalog.engine import Write
from tenantry.catalog.postgres import PostgresEngine
from tenantry.catalog.sqlite import SqliteEngine
from tenantry.catalog.transfer import all_rows
from tenantry.errors import CatalogUnavailableError
from tenantry.testing import OpenAIServer, VaultServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tests.soaks.fleet.lines import Line

    from tenantry.catalog.engine import Engine
    from tenantry.testing.postgres import PostgresServer

    Said = dict[str, Any]

LIMIT = 60.0  # seconds after which what does not happen fails its test
WRITING = 5.0  # seconds that a change may take
POLICY = 'path "secret/data/*" { capabilities = ["read"] }'
WORKER = Path(__file__).with_name("worker.py")
AWAY = CatalogUnavailableError.__name__


class Worker:
    """A process of the fleet, and the questions that it answers."""

    def __init__(self, config: Said, environ: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._say({"config": config, "environ": environ})

    def ask(self, method: str, *arguments: Any) -> Any:
        self._say([method, *arguments])
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        assert answer, f"the worker ended, asked for {method}"
        return json.loads(answer)

    def end(self) -> None:
        with self._process as process:
            with contextlib.suppress(OSError, AssertionError):
                self.ask("end")
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LIMIT)
            process.kill()

    def _say(self, what: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()


class Base(Protocol):
    """The database of a fleet: how this process reaches it, and how each worker does."""

    engine: Engine

    def said(self, number: int) -> tuple[Said, dict[str, str]]:
        """Return what a worker's `catalog` says, and the variables that it needs."""
        ...


class SqliteBase:
    """A file that all processes open."""

    def __init__(self, path: Path, *, poll: float) -> None:
        self.engine: Engine = SqliteEngine(path)
        self._said = {"sqlite": {"path": str(path), "poll": poll}}

    def said(self, number: int) -> tuple[Said, dict[str, str]]:
        return self._said, {}


class PostgresBase:
    """A server that each worker reaches through a line of its own."""

    def __init__(
        self, dsn: str, server: PostgresServer, lines: Sequence[Line], **said: Any
    ) -> None:
        self.engine: Engine = PostgresEngine(lambda: dsn)
        self._dsn, self._server, self._lines, self._said = dsn, server, lines, said

    def said(self, number: int) -> tuple[Said, dict[str, str]]:
        here, there = f":{self._server.port}/", f":{self._lines[number].port}/"
        dsn = self._dsn.replace(here, there)
        return {"postgres": {"dsn": {"env": "DSN"}, **self._said}}, {"DSN": dsn}


class Fleet:
    """So many workers on one catalog, from entering to leaving it.

    Half of the tenants are `steady`: whatever else is changed, they are neither removed nor
    disabled, so that no request of theirs may fail.
    """

    def __init__(self, base: Base, workers: int, tenants: int) -> None:
        self.engine = base.engine
        self.openai = OpenAIServer(max_recorded=1_000_000)
        self.vault = VaultServer()
        self.names = [f"tenant-{number}" for number in range(tenants)]
        self.steady, self.fickle = self.names[::2], self.names[1::2]
        self.workers: list[Worker] = []
        self.gone: dict[str, list[tuple[float, str]]] = defaultdict(list)  # when, and how
        self._base, self._count = base, workers
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self._exit.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def _open(self) -> None:
        self._exit.callback(self.engine.close)
        self.engine.prepare(WRITING)
        for server in (self.openai, self.vault):
            self._exit.enter_context(server)
        for name in self.names:
            self.vault.put(name, {"api_key": f"sk-{name}"})
            self.openai.allow(f"sk-{name}", tenant=name)
        self.write({name: self.tenant("1") for name in self.names})
        for number in range(self._count):
            self._hire(number)
        assert [len(self.names)] * self._count == self.of_all("load", self.names)

    def _hire(self, number: int) -> None:
        catalog, environ = self._base.said(number)
        worker = Worker(self._configuration(catalog), environ)
        self._exit.callback(worker.end)
        self.workers.append(worker)

    def _configuration(self, catalog: Said) -> Said:
        self.vault.add_policy("fleet", POLICY)
        role_id, secret_id = self.vault.approle("fleet", policies=["fleet"])
        approle = {"role_id": role_id, "secret_id": {"literal": secret_id}}
        return {
            "catalog": catalog,
            "registry": {"idle_after": None, "warm": "none"},
            "allow": {"origins": [self.origin], "secrets": {"vault": ["{tenant}"]}},
            "sources": {"vault": {"address": self.vault.url, "auth": {"approle": approle}}},
            "refresh": {"every": 3600},
            "defaults": {"max_retries": 0, "api_key": {"vault": "{tenant}"}},
            "profiles": {
                "one": {"base_url": f"{self.origin}/one/v1"},
                "two": {"base_url": f"{self.origin}/two/v1"},
            },
        }

    @property
    def origin(self) -> str:
        return self.openai.base_url.removesuffix("/v1")

    # -- the table --------------------------------------------------------------------------------

    def tenant(self, version: str, **said: Any) -> Said:
        """Return what a tenant says: a version, and where its requests go."""
        return {"profile": "one", "default_headers": {"X-Version": version}, **said}

    def write(self, said: Mapping[str, Said | None]) -> None:
        self.engine.write([Write(name, each) for name, each in said.items()], "fleet", WRITING)

    def expected(self) -> dict[str, str]:
        """Return how a worker has to serve everybody, by the table alone."""
        rows = {row.name: row.said for row in all_rows(self.engine)}
        return {name: self.served(rows.get(name)) for name in self.names}

    def served(self, said: Mapping[str, Any] | None) -> str:
        """Return how a worker has to serve whoever says this."""
        if said is None:
            return "UnknownTenantError"
        if said.get("enabled") is False:
            return "TenantDisabledError"
        address = said.get("base_url", f"{self.origin}/{said['profile']}/v1")
        return f"{address}/ {said['default_headers']['X-Version']}"

    # -- the workers ------------------------------------------------------------------------------

    def of_all(self, method: str, *arguments: Any) -> list[Any]:
        """Ask every worker at once."""
        with ThreadPoolExecutor(len(self.workers)) as pool:
            return list(pool.map(lambda worker: worker.ask(method, *arguments), self.workers))

    def stale(self) -> list[tuple[int, str, str, str]]:
        """Return whom a worker serves otherwise than the table says: where, who, how."""
        expected = self.expected()
        return [
            (number, name, expected[name], how)
            for number, states in enumerate(self.of_all("states", self.names))
            for name, how in states.items()
            if how != expected[name]
        ]

    def converge(self) -> float:
        """Wait until no worker is behind; returns the seconds that it took."""
        return waited(lambda: not self.stale(), lambda: f"stale: {self.stale()[:5]}")

    def unexcused(self, failed: list[dict[str, Any]]) -> list[str]:
        """Return the failures that none of our own changes made."""
        return [each["text"] for each in failed if not self._excused(**each)]

    def _excused(self, name: str, kind: str, at: float, text: str) -> bool:
        """Whether a tenant was gone in this very way before; who came back has to be read first."""
        del text
        ways = {how for when, how in self.gone[name] if when <= at}
        return kind in ways or (kind == AWAY and "UnknownTenantError" in ways)


class Changes:
    """Somebody who changes one tenant after the other, so many a second, on a thread."""

    def __init__(self, fleet: Fleet, *, rate: float, seed: int) -> None:
        self.made: Counter[str] = Counter()
        self.lost = 0  # that the database was not there for
        self._fleet, self._rate = fleet, rate
        self._dice = random.Random(seed)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(LIMIT)
        assert not self._thread.is_alive()

    def make(self) -> None:
        """Change one tenant in one of the ways that there are."""
        kinds = ("put", "move", "announce", "remove", "disable", "return")
        kind = self._dice.choice(kinds)
        steady = kind in kinds[:3]
        name = self._dice.choice(self._fleet.steady if steady else self._fleet.fickle)
        if not steady:
            how = {"remove": "UnknownTenantError", "disable": "TenantDisabledError"}.get(kind)
            self._fleet.gone[name] += [(time.monotonic(), how)] if how else []
        self._fleet.write({name: getattr(self, f"_{kind}")()})
        self.made[kind] += 1

    def _run(self) -> None:
        due = time.monotonic()
        while not self._over.wait(max(0.0, due - time.monotonic())):
            due = max(due + 1 / self._rate, time.monotonic() - 1.0)
            try:
                self.make()
            except CatalogUnavailableError:
                self.lost += 1

    def _version(self) -> str:
        return str(self._dice.randrange(10**9))

    def _put(self) -> Said:
        return self._fleet.tenant(self._version())

    def _move(self) -> Said:
        """Go to another path, by a profile or by the tenant's own word."""
        own = {"base_url": f"{self._fleet.origin}/own-{self._dice.randrange(9)}/v1"}
        where = self._dice.choice([{"profile": "two"}, own])
        return self._fleet.tenant(self._version(), **where)

    def _announce(self) -> Said:
        return self._fleet.tenant(self._version(), rotated_at=now())

    def _remove(self) -> None:
        return None

    def _disable(self) -> Said:
        return self._fleet.tenant(self._version(), enabled=False)

    def _return(self) -> Said:
        return self._fleet.tenant(self._version())


def now() -> str:
    """Return the instant as a row says it."""
    return datetime.now(UTC).isoformat()


def waited(true: Callable[[], bool], what: Callable[[], object]) -> float:
    """Look again until something is true; returns the seconds that it took."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() < began + LIMIT, what()
        time.sleep(0.02)
    return time.monotonic() - began


@pytest.fixture
def fleet_on(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Callable[..., tuple[Fleet, list[Line]]]]:
    """Opens a fleet on a database of a kind, with its lines to it, if it has any."""
    with ExitStack() as opened:

        def on(kind: str, workers: int, tenants: int, **said: Any) -> tuple[Fleet, list[Line]]:
            if kind == "sqlite":
                base = SqliteBase(tmp_path / "catalog.db", **said)
                return opened.enter_context(Fleet(base, workers, tenants)), []
            server, dsn = map(request.getfixturevalue, ("postgres_server", "postgres_dsn"))
            lines = opened.enter_context(Lines(workers, server.port)).lines
            fleet = Fleet(PostgresBase(dsn, server, lines, **said), workers, tenants)
            return opened.enter_context(fleet), lines

        yield on
