"""An estate of 24 tenants on servers of its own, and traffic for all of them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import secrets
import threading
from collections import Counter, defaultdict
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import pytest

from tenantry import ClientRegistry
from tenantry.catalog.engine import Write
from tenantry.catalog.postgres import PostgresEngine
from tenantry.errors import CredentialUnavailableError
from tenantry.secret import Secret
from tenantry.testing import EntraServer, OpenAIServer, VaultServer

if TYPE_CHECKING:
    import types
    from collections.abc import Iterator
    from pathlib import Path

    from tenantry.events import Event
    from tenantry.testing.entra import IssuedToken

LIMIT = 30.0  # seconds after which what does not happen fails its test
EVERY = 1.0  # seconds between two refreshes of a key that does not expire
SESSION = 20  # seconds that a Vault session lives, unless it is renewed
PAUSE = 0.01  # seconds between two requests of one worker
HEADER = "x-soak-id"
KINDS = (
    *(("openai", "vault"), ("azure", "vault"), ("azure", "entra")),
    *(("openai", "vault"), ("openai", "file"), ("azure", "file")),
)
POLICY = 'path "secret/data/*" { capabilities = ["read"] }'


@dataclass(slots=True)
class Keyed:
    """One credential of the estate, and whose it is: all tenants on Entra share one.

    It is `settled` once it serves, and no request is under way that began before it did.
    """

    source: str
    tenants: list[str]
    key: str = ""
    turns: int = 0
    good: set[str] = field(
        default_factory=set
    )  # fingerprints of what may be revoked once it serves
    mark: int | None = None


class Estate:
    """Three servers, 24 tenants, their keys, and the registry; ends all when it is left.

    Args:
        directory: where keys are that stand in files.
        dsn: of the database that the tenants stand in; in the configuration unless said.
    """

    def __init__(self, directory: Path, dsn: str = "") -> None:
        self.directory, self._dsn = directory, dsn
        self.openai = OpenAIServer(max_recorded=1_000_000)
        self.vault, self.entra = VaultServer(), EntraServer()
        self.names = [f"tenant-{number}" for number in range(24)]
        self.entra_keyed = Keyed("entra", [])
        self.keyed: list[Keyed] = [self.entra_keyed]
        self.events: Counter[str] = Counter()
        self.revoked = 0
        self._tokens: dict[str, str] = {}
        self._exit = ExitStack()

    def __enter__(self) -> Self:
        for server in (self.openai, self.vault, self.entra):
            self._exit.enter_context(server)
        self.entra.refresh_in = 2
        self.entra.on_issue.append(self._allow_token)
        self.entra.register_app("soak", secret="made-up")
        for name, (_, source) in self._kinds():
            if source == "entra":
                self.entra_keyed.tenants.append(name)
            else:
                self.keyed.append(Keyed(source, [name]))
        for keyed in self.keyed[1:]:
            self.publish(keyed)
        said = self._configuration()
        if self._dsn:
            put_in_engine(self._dsn, said.pop("tenants"))
            said |= self._on_engine()
        opened = ClientRegistry.open(said, environ={"DSN": self._dsn})
        self.registry = self._exit.enter_context(opened)
        self.registry.subscribe(self._note)
        for name in self.names:
            self.registry.client(name)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        self._exit.__exit__(exc_type, exc, traceback)

    def close(self) -> None:
        """Close the registry: every event is told then."""
        self.registry.close()

    def _kinds(self) -> Iterator[tuple[str, tuple[str, str]]]:
        return zip(self.names, itertools.cycle(KINDS), strict=False)

    def _note(self, event: Event) -> None:
        self.events[type(event).__name__] += 1

    def _allow_token(self, token: IssuedToken) -> None:
        self.openai.allow(token.value)
        fingerprint = Secret(token.value).fingerprint
        self._tokens[fingerprint] = token.value
        self.entra_keyed.good.add(fingerprint)

    # -- keys -------------------------------------------------------------------------------------

    def rotate(self, keyed: Keyed, *, revoke: bool) -> None:
        """Publish a new key, and revoke the old one in the same instant, or never."""
        old = keyed.key
        keyed.turns += 1
        if keyed.source == "entra":
            old, revoke = self._tokens[self.serving(keyed)], True
            keyed.good.discard(Secret(old).fingerprint)
            keyed.mark = None
        else:
            self.publish(keyed)
        if revoke:
            self.openai.revoke(old)
            self.revoked += 1

    def publish(self, keyed: Keyed, key: str = "") -> None:
        """Put a key where the source looks: a good one that the service knows, or `key`."""
        [name] = keyed.tenants
        if not key:
            keyed.key = key = f"sk-{name}-{secrets.token_urlsafe(12)}"
            self.openai.allow(key)
            keyed.good, keyed.mark = {Secret(key).fingerprint}, None
        if keyed.source == "vault":
            self.vault.put(name, {"api_key": key})
        else:
            fresh = self.directory / f"{name}.new"
            fresh.write_text(key)
            fresh.replace(self.directory / name)

    def serving(self, keyed: Keyed) -> str:
        """Return the fingerprint of the key that serves."""
        return self.registry.status(keyed.tenants[0]).credentials[0].fingerprint

    def is_settled(self, keyed: Keyed, traffic: Traffic) -> bool:
        """Whether a key may be revoked: whoever is refused it from now on finds a better one."""
        if keyed.mark is None and self.serving(keyed) in keyed.good:
            keyed.mark = traffic.mark()
        return keyed.mark is not None and traffic.is_past(keyed.mark)

    def answers(self) -> dict[str, list[int]]:
        """Return what each request was answered with, by its id, in the order of arrival."""
        found: dict[str, list[int]] = defaultdict(list)
        for request in self.openai.requests:
            found[request.header[HEADER]].append(request.status)
        return found

    # -- the configuration ------------------------------------------------------------------------

    def _configuration(self) -> dict[str, Any]:
        self.vault.add_policy("soak", POLICY)
        role_id, secret_id = self.vault.approle("soak", policies=["soak"], token_ttl=SESSION)
        approle = {"role_id": role_id, "secret_id": {"literal": secret_id}}
        secret = {
            "directory_id": self.entra.directory_id,
            "client_id": "soak",
            "client_secret": {"literal": "made-up"},
        }
        return {
            "refresh": {"every": EVERY, "wait": LIMIT},
            "sources": {
                "vault": {"address": self.vault.url, "auth": {"approle": approle}},
                "entra": {
                    "authority": self.entra.authority,
                    "tls": {"ca": str(self.entra.ca_file)},
                    "auth": {"client_secret": secret},
                },
            },
            "defaults": {"max_retries": 0, "timeout": LIMIT},
            "tenants": {name: self._said(name, *kind) for name, kind in self._kinds()},
        }

    def _on_engine(self) -> dict[str, Any]:
        """Return what else is said where the tenants are rows."""
        secrets = {
            "vault": ["{tenant}"],
            "file": [f"{self.directory}/{{tenant}}"],
            "entra": ["https://cognitiveservices.azure.com/.default"],
        }
        origin = self.openai.azure_endpoint
        return {
            "catalog": {"postgres": {"dsn": {"env": "DSN"}}},
            "allow": {"origins": [origin], "secrets": secrets},
        }

    def _said(self, name: str, provider: str, source: str) -> dict[str, Any]:
        said: dict[str, Any] = {"provider": provider, "base_url": self.openai.base_url}
        if provider == "azure":
            said = {
                "provider": provider,
                "azure_endpoint": self.openai.azure_endpoint,
                "api_version": "2024-10-21",
            }
        if source == "entra":
            return {**said, "azure_ad_token_provider": {"entra": {}}}
        if source == "vault":
            return {**said, "api_key": {"vault": name}}
        file = {"path": str(self.directory / name), "refresh": {"every": EVERY, "wait": LIMIT}}
        return {**said, "api_key": {"file": file}}


class Traffic:
    """Sends requests for every tenant, from threads and tasks, from entering to leaving it."""

    def __init__(self, registry: ClientRegistry, names: list[str]) -> None:
        self.failures: list[str] = []
        self.errors: list[CredentialUnavailableError] = []
        self.sent: Counter[str] = Counter()
        self._registry, self._names = registry, names
        self._numbers = itertools.count(1)
        self._under_way: set[int] = set()
        self._lock = threading.Lock()  # guards all above
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(each,)) for each in range(3)]
        self._threads.append(threading.Thread(target=lambda: asyncio.run(self._tasks())))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * LIMIT)
            assert not thread.is_alive()

    def mark(self) -> int:
        """Return a number that every request to come exceeds."""
        with self._lock:
            return next(self._numbers)

    def is_past(self, mark: int) -> bool:
        """Whether every request that began before `mark` has ended."""
        with self._lock:
            return all(number > mark for number in self._under_way)

    def _begin(self, tenant: str) -> tuple[int, dict[str, Any]]:
        with self._lock:
            number = next(self._numbers)
            self._under_way.add(number)
            self.sent[tenant] += 1
        message = {"role": "user", "content": "hello"}
        headers = {HEADER: str(number)}
        return number, {"model": "m", "messages": [message], "extra_headers": headers}

    def _end(self, number: int, tenant: str, error: Exception | None = None) -> None:
        with self._lock:
            self._under_way.discard(number)
            if isinstance(error, CredentialUnavailableError):
                self.errors.append(error)
            elif error is not None:
                self.failures.append(f"{number} of {tenant}: {type(error).__name__}: {error}")

    def _send(self, first: int) -> None:
        for tenant in itertools.islice(itertools.cycle(self._names), first * 5, None):
            if self._stop.wait(PAUSE):
                return
            number, options = self._begin(tenant)
            try:
                self._registry.client(tenant).chat.completions.create(**options)
            except Exception as error:  # noqa: BLE001  # counted, whatever it is
                self._end(number, tenant, error)
            else:
                self._end(number, tenant)

    async def _tasks(self) -> None:
        await asyncio.gather(*(self._task(each) for each in range(6)))
        clients = {self._registry.async_client(tenant) for tenant in self._names}
        for client in clients:
            await client.close()

    async def _task(self, first: int) -> None:
        for tenant in itertools.islice(itertools.cycle(self._names), first * 4, None):
            if self._stop.is_set():
                return
            await asyncio.sleep(PAUSE)
            number, options = self._begin(tenant)
            try:
                await self._registry.async_client(tenant).chat.completions.create(**options)
            except Exception as error:  # noqa: BLE001  # counted, whatever it is
                self._end(number, tenant, error)
            else:
                self._end(number, tenant)


def put_in_engine(dsn: str, tenants: dict[str, dict[str, Any]]) -> None:
    """Put tenants into a database, which is prepared where it is not."""
    engine = PostgresEngine(lambda: dsn)
    with contextlib.closing(engine):
        engine.prepare(LIMIT)
        engine.write([Write(name, said) for name, said in tenants.items()], "soak", LIMIT)


@pytest.fixture(params=["files", pytest.param("postgres", marks=pytest.mark.stress)])
def on(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What puts tenants into a database, and where that is; nothing where they stand in files."""
    if request.param == "files":
        return {}
    dsn = request.getfixturevalue("postgres_dsn")
    return {"put": functools.partial(put_in_engine, dsn), "dsn": dsn}


@pytest.fixture(params=["code", pytest.param("postgres", marks=pytest.mark.stress)])
def estate(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Estate]:
    """An estate whose tenants stand in what was said, or in a database."""
    in_engine = request.param == "postgres"
    with Estate(tmp_path, request.getfixturevalue("postgres_dsn") if in_engine else "") as made:
        yield made


@pytest.fixture
def traffic(estate: Estate) -> Traffic:
    return Traffic(estate.registry, estate.names)


@pytest.fixture
def traffic_of() -> type[Traffic]:
    """What sends requests for tenants of any registry."""
    return Traffic
