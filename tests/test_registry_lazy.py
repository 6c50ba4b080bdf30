"""A registry whose tenants stand in an engine: what reaches clients, and what does not."""

from __future__ import annotations

import asyncio
import datetime as dt
import multiprocessing
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tenantry import (
    CatalogChange,
    ClientRegistry,
    ConfigError,
    TenantDisabledError,
    TenantNotLoadedError,
    TenantQuarantinedError,
    UnknownTenantError,
)
from tenantry.catalog import LazyCatalog
from tenantry.catalog.engine import Write
from tenantry.catalog.sqlite import SqliteEngine
from tenantry.errors import CatalogUnavailableError
from tenantry.testing import OpenAIServer, VaultServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from openai import AsyncOpenAI, OpenAI

KEYS = {"KEY": "sk-key-0123456789", "OTHER": "sk-other-0123456789"}
IN_VAULT = ("sk-vault-0", "sk-vault-1")
LIMIT = 10.0  # seconds after which a test that hangs fails


class Estate:
    """A registry over an SQLite file that a test writes to, and a service that answers."""

    def __init__(self, server: OpenAIServer, path: Path) -> None:
        self.server = server
        self.path = path
        self.engine = SqliteEngine(path)
        self.engine.prepare(LIMIT)
        self.put(acme={"max_retries": 1}, globex={})
        self.config: dict[str, Any] = {
            # Nothing is seen before a test polls, unless it says otherwise.
            "catalog": {"sqlite": {"path": str(path), "poll": 3600}},
            "allow": {"secrets": {"env": ["OTHER"]}},
            "defaults": {"base_url": server.base_url, "api_key": {"env": "KEY"}},
        }
        self.opened: list[ClientRegistry] = []

    def open(self, **changed: Any) -> ClientRegistry:
        registry = ClientRegistry.open(self.config | changed, environ=KEYS)
        self.opened.append(registry)
        poll(registry)
        return registry

    def put(self, **tenants: dict[str, Any] | None) -> None:
        self.engine.write([Write(name, said) for name, said in tenants.items()], "test", LIMIT)

    def close(self) -> None:
        for registry in self.opened:
            registry.close()
        self.engine.close()


RUNNING: dict[str, OpenAIServer] = {}  # by their addresses


def catalog_of(registry: ClientRegistry) -> LazyCatalog:
    assert isinstance(registry.catalog, LazyCatalog)
    return registry.catalog


def poll(registry: ClientRegistry) -> None:
    catalog_of(registry).poll()


def send(client: OpenAI) -> str | None:
    """Send a request; returns the key that it bore."""
    client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hi"}])
    return RUNNING[str(client.base_url).rstrip("/")].requests[-1].key


async def asend(client: AsyncOpenAI) -> None:
    await client.chat.completions.create(
        model="gpt-5", messages=[{"role": "user", "content": "hi"}]
    )


@pytest.fixture(scope="module")
def running() -> Iterator[OpenAIServer]:
    with OpenAIServer(keys=[*KEYS.values(), *IN_VAULT]) as server:
        RUNNING[server.base_url] = server
        yield server


@pytest.fixture
def server(running: OpenAIServer) -> OpenAIServer:
    running.clear()
    return running


@pytest.fixture
def estate(server: OpenAIServer, tmp_path: Path) -> Iterator[Estate]:
    made = Estate(server, tmp_path / "tenants.db")
    yield made
    made.close()


@pytest.fixture
def registry(estate: Estate) -> ClientRegistry:
    return estate.open()


# -- handing out ----------------------------------------------------------------------------------


def test_opening_reads_nobody(registry: ClientRegistry) -> None:
    """A registry opens without a look at the tenants, and its first use of one reads that one."""
    assert [] == catalog_of(registry).loaded_names()
    assert "<ClientRegistry 0 tenants loaded>" == repr(registry)
    assert KEYS["KEY"] == send(registry.client("acme"))
    assert ["acme"] == catalog_of(registry).loaded_names()
    assert {"acme", "globex"} == set(registry.tenants)


async def test_async_clients_never_read(registry: ClientRegistry) -> None:
    """An async client is handed out once the tenant was loaded, and not before."""
    with pytest.raises(TenantNotLoadedError):
        registry.async_client("acme")
    await registry.aload("acme")
    await asend(registry.async_client("acme"))
    for name in ("nobody", "../acme"):
        with pytest.raises(UnknownTenantError):
            await registry.aload(name)


async def test_loading_a_disabled_tenant(estate: Estate, registry: ClientRegistry) -> None:
    """Loading says that a tenant is not served."""
    estate.put(acme={"enabled": False})
    with pytest.raises(TenantDisabledError):
        await registry.aload("acme")


async def test_many_load_one(registry: ClientRegistry) -> None:
    """Tasks that load one tenant at the same time all get it."""
    await asyncio.gather(*(registry.aload("acme") for _ in range(50)))
    assert ["acme"] == catalog_of(registry).loaded_names()


@pytest.mark.parametrize(
    "said",
    [
        {"api_key": {"env": "KEY_GLOBEX"}},
        {"api_key": {"vault": "tenants/globex"}},
        {"api_key": {"file": "/run/secrets/globex"}},
        {"api_key": {"command": ["cat", "/etc/passwd"]}},
        {"api_key": {"command": {"run": ["cat", "/etc/passwd"]}}},
        {"api_key": {"literal": "sk-planted"}},
        {"api_key": {"first_of": [{"env": "OTHER"}, {"file": "/run/secrets/globex"}]}},
        {"base_url": "https://attacker.example/v1"},
        {"default_headers": {"X-Leak": {"env": "KEY"}}},
        {"workload_identity": {"subject_token": {"file": "/var/run/secrets/token"}}},
        {"endpoints": {"eu": {"base_url": "https://attacker.example/v1"}}},
        {"proxy": {"url": "http://attacker.example:3128"}},
        {"tls": {"verify": False}},
        {"inherit_environment": True},
        {"organization": "${KEY}"},
    ],
)
def test_a_row_that_points_elsewhere(
    estate: Estate, registry: ClientRegistry, said: dict[str, Any]
) -> None:
    """What `allow` does not name is refused: nothing is read, nothing is sent, nothing is told."""
    estate.put(acme=said)
    with pytest.raises(TenantQuarantinedError) as caught:
        registry.client("acme")
    assert "sqlite:tenants/acme" in str(caught.value)
    assert "planted" not in str(caught.value)
    assert [] == list(estate.server.requests)
    assert {"acme": caught.value.problems} == {
        name: getattr(error, "problems", None) for name, error in registry.warm(["acme"]).items()
    }


# -- changes --------------------------------------------------------------------------------------


def test_a_change(estate: Estate, registry: ClientRegistry) -> None:
    """A changed tenant gets another client, who holds the old one keeps a working one."""
    held = registry.client("acme")
    other = registry.client("globex")
    estate.put(acme={"api_key": {"env": "OTHER"}})
    poll(registry)
    assert KEYS["OTHER"] == send(registry.client("acme"))
    assert KEYS["KEY"] == send(held)
    assert other is registry.client("globex")


@pytest.mark.parametrize(
    ("said", "error"), [(None, UnknownTenantError), ({"enabled": False}, TenantDisabledError)]
)
def test_who_is_gone_is_shut_out(
    estate: Estate, registry: ClientRegistry, said: Any, error: type[Exception]
) -> None:
    """Of a tenant that was removed or disabled no client sends anything any more."""
    held = registry.client("acme")
    estate.put(acme=said)
    poll(registry)
    for ask in (lambda: send(held), lambda: registry.client("acme")):
        with pytest.raises(error):
            ask()
    assert [] == list(estate.server.requests)


def test_who_is_not_used_is_still_followed(estate: Estate) -> None:
    """A held client of a tenant that fell out of the cache is shut when the tenant goes."""
    engine = estate.config["catalog"]["sqlite"]
    registry = estate.open(catalog={"sqlite": engine | {"cache": 1}})
    held = registry.client("acme")
    registry.evict("acme")
    registry.client("globex")
    estate.put(acme=None)
    poll(registry)
    with pytest.raises(UnknownTenantError):
        send(held)


def test_a_rotation_is_announced(estate: Estate) -> None:
    """`rotated_at` has every process fetch anew, once."""
    with VaultServer() as vault:
        vault.put("acme", {"api_key": IN_VAULT[0]})
        source = {"address": vault.url, "auth": {"token": {"literal": vault.root_token}}}
        shared = {"sources": {"vault": source}}
        said = {"base_url": estate.server.base_url, "api_key": {"vault": "{tenant}"}}
        registries = [estate.open(**shared, defaults=said) for _ in range(2)]
        estate.put(acme={})
        clients = [each.client("acme") for each in registries]
        assert [IN_VAULT[0]] * 2 == [send(client) for client in clients]
        vault.put("acme", {"api_key": IN_VAULT[1]})
        estate.put(acme={"rotated_at": dt.datetime.now(dt.UTC).isoformat()})
        for each in registries:
            poll(each)
        for each in registries:
            assert soon(lambda each=each: IN_VAULT[1] == send(each.client("acme")))
        assert 4 == sum("/data/" in request.path for request in vault.requests)


def test_who_is_forgotten_leaves_no_secret(estate: Estate) -> None:
    """Beyond the cache a tenant without clients holds no memory: its secrets are let go."""
    engine = estate.config["catalog"]["sqlite"]
    registry = estate.open(catalog={"sqlite": engine | {"cache": 1}})
    estate.put(acme={"api_key": {"env": "OTHER"}})
    assert {"acme": None} == registry.warm(["acme"])
    assert {"globex": None} == registry.warm(["globex"])
    assert ["globex"] == catalog_of(registry).loaded_names()
    assert 1 == len(registry._secrets._keyring._kept)


def test_it_looks_by_itself(estate: Estate) -> None:
    """Nobody has to ask for changes to be seen."""
    path = estate.config["catalog"]["sqlite"]["path"]
    registry = estate.open(catalog={"sqlite": {"path": path, "poll": 0.1}})
    registry.client("acme")
    estate.put(acme={"max_retries": 9})
    assert soon(lambda: 9 == registry.client("acme").max_retries)


def soon(holds: Any) -> bool:
    """Say whether something holds within the limit."""
    deadline = time.monotonic() + LIMIT
    while not (found := holds()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(found)


def _follow(estate: Estate, registry: ClientRegistry, pipe: Any) -> None:
    first = registry.client("acme").max_retries
    pipe.send(first)
    pipe.send(soon(lambda: 9 == registry.client("acme").max_retries))


def test_a_child_looks_for_itself(estate: Estate) -> None:
    """A forked child polls on connections and threads of its own."""
    path = estate.config["catalog"]["sqlite"]["path"]
    registry = estate.open(catalog={"sqlite": {"path": path, "poll": 0.1}})
    registry.client("acme")
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(
        target=_follow, args=(estate, registry, theirs)
    )
    child.start()
    assert ours.poll(LIMIT)
    assert 1 == ours.recv()
    estate.put(acme={"max_retries": 9})
    assert ours.poll(2 * LIMIT)
    assert ours.recv() is True
    child.join(LIMIT)
    assert soon(lambda: 9 == registry.client("acme").max_retries)


# -- reloads --------------------------------------------------------------------------------------


def test_reload(estate: Estate, tmp_path: Path) -> None:
    """Other layers reach the tenants that are loaded, and those that are not."""
    file = tmp_path / "tenantry.yaml"

    def write(**defaults: Any) -> None:
        file.write_text(str(estate.config | {"defaults": estate.config["defaults"] | defaults}))

    write()
    with ClientRegistry.open(file, environ=KEYS) as registry:
        acme, globex = registry.client("acme"), registry.client("globex")
        write(max_retries=6)
        expected = CatalogChange(changed=("globex",))
        assert expected == registry.plan()
        assert globex is registry.client("globex")
        assert expected == registry.reload()
        assert 6 == registry.client("globex").max_retries
        assert acme is registry.client("acme")
        assert CatalogChange() == registry.reload()


def test_another_catalog_is_no_reload(estate: Estate, tmp_path: Path) -> None:
    """Where the tenants stand does not change under a running registry."""
    file = tmp_path / "tenantry.yaml"
    file.write_text(str(estate.config))
    with ClientRegistry.open(file, environ=KEYS) as registry:
        file.write_text(str(estate.config | {"catalog": {"sqlite": {"path": "other.db"}}}))
        for ask in (registry.plan, registry.reload):
            with pytest.raises(ConfigError, match="restart the process"):
                ask()
        file.write_text(str({"tenants": {"acme": estate.config["defaults"]}}))
        with pytest.raises(ConfigError, match="restart the process"):
            registry.reload()
        assert KEYS["KEY"] == send(registry.client("acme"))


# -- the engine is away ---------------------------------------------------------------------------


def away(registry: ClientRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the engine away, until the patch is undone."""

    def refuse(*_: object) -> None:
        raise CatalogUnavailableError("sqlite", reason="refused")

    for question in ("row", "rows", "changed", "revision"):
        monkeypatch.setattr(catalog_of(registry).engine, question, refuse)


async def test_warm_tenants_go_on(
    registry: ClientRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its engine a registry serves whom it knows, and says at once why nobody else."""
    registry.client("acme")
    away(registry, monkeypatch)
    poll(registry)
    assert KEYS["KEY"] == send(registry.client("acme"))
    registry.evict("acme")
    await asend(registry.async_client("acme"))
    begun = time.monotonic()
    for _ in range(100):
        with pytest.raises(CatalogUnavailableError, match="refused"):
            registry.client("globex")
    with pytest.raises(CatalogUnavailableError, match="refused"):
        await registry.aload("globex")
    assert time.monotonic() - begun < LIMIT
    monkeypatch.undo()
    poll(registry)
    assert KEYS["KEY"] == send(registry.client("globex"))


def test_trust_has_an_end(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    """After `max_catalog_stale` nobody is handed a client; those that are held go on."""
    registry = estate.open(registry={"max_catalog_stale": 0})
    held = registry.client("acme")
    away(registry, monkeypatch)
    poll(registry)
    with pytest.raises(CatalogUnavailableError):
        registry.client("acme")
    with pytest.raises(CatalogUnavailableError):
        registry.async_client("acme")
    assert KEYS["KEY"] == send(held)
    monkeypatch.undo()
    poll(registry)
    assert KEYS["KEY"] == send(registry.client("acme"))
    assert KEYS["KEY"] == send(held)


async def test_ready(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that never read a tenant is not ready; with one loaded an outage is no fault."""
    cold, warm = estate.open(), estate.open()
    warm.client("acme")
    for registry in (cold, warm):
        away(registry, monkeypatch)
    assert {"(catalog)"} == set(cold.ready()) == set(await cold.aready())
    assert {} == warm.ready() == await warm.aready()
    monkeypatch.undo()
    poll(cold)
    assert {} == cold.ready() == await cold.aready()


# -- what operators ask ---------------------------------------------------------------------------


def test_what_is_known(estate: Estate, registry: ClientRegistry) -> None:
    """Status and explanations read the one tenant that is asked for."""
    estate.put(wrong={"max_retries": "many"})
    assert "openai" == registry.status("acme").provider
    assert 1 == len(registry.status("wrong").problems)
    [said] = [each for each in registry.explain("acme") if each.name == "max_retries"]
    assert "sqlite:tenants/acme" == str(said.origin)
    assert {"acme", "wrong"} == set(catalog_of(registry).loaded_names())
    heard: list[Any] = []
    registry.subscribe(heard.append)
    assert soon(lambda: ["wrong"] == [event.tenant for event in heard])


def test_warming_all_is_warming_those_loaded(registry: ClientRegistry) -> None:
    """Nobody reads a million tenants to warm them."""
    assert {} == registry.warm()
    registry.client("acme")
    assert {"acme": None} == registry.warm()


def test_clients_under_change(estate: Estate, registry: ClientRegistry) -> None:
    """Whoever asks while tenants change and are forgotten gets a client, and the last one at last.

    No thread is left waiting: changes, first uses and evictions take their locks in one order.
    """
    names = [f"t{number}" for number in range(20)]
    catalog_of(registry).obey(cache=5, poll=3600, max_stale=None)
    estate.put(**{name: {} for name in names})
    done = threading.Event()
    failed: list[BaseException] = []

    def ask() -> None:
        try:
            while not done.is_set():
                for name in names:
                    registry.client(name)
                    registry.evict(name)
        except BaseException as error:  # noqa: BLE001  # the test tells
            failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for retries in range(10):
        estate.put(**{name: {"max_retries": retries} for name in names})
        poll(registry)
    done.set()
    for thread in threads:
        thread.join(LIMIT)
    assert [] == failed
    assert not any(thread.is_alive() for thread in threads)
    assert {9} == {registry.client(name).max_retries for name in names}
