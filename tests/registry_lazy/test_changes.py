"""What changes in an engine, or in the layers around it, reaches clients."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.registry_lazy.conftest import IN_VAULT, KEYS, LIMIT, catalog_of, poll, send, soon

from tenantry import (
    CatalogChange,
    ClientRegistry,
    ConfigError,
    TenantDisabledError,
    UnknownTenantError,
)
from tenantry.testing import VaultServer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.registry_lazy.conftest import Estate


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
