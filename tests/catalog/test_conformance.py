"""Whatever keeps the tenants, a registry asks it the same and is answered the same."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from tenantry import ClientRegistry, TenantQuarantinedError, UnknownTenantError
from tenantry.catalog import Catalog, LazyCatalog, MemoryCatalog
from tenantry.catalog.engine import Write
from tenantry.opening import open_engine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Put: TypeAlias = Callable[..., None]

ENVIRON = {"KEY": "sk-0123456789"}
COMMON = {"registry": {"max_removals": 1}, "allow": {}, "defaults": {"api_key": {"env": "KEY"}}}
AT_FIRST: dict[str, Any] = {
    "acme": {"max_retries": 1},
    "Globex": {"endpoints": {"eu": {"max_retries": 3}}},
    "off": {"enabled": False},
    "wrong": {"max_retries": "many"},
}


@contextmanager
def in_memory(folder: Path) -> Iterator[tuple[ClientRegistry, Put]]:
    with ClientRegistry.open({**COMMON, "tenants": AT_FIRST}, environ=ENVIRON) as registry:
        catalog = registry.catalog
        assert isinstance(catalog, MemoryCatalog)

        def put(name: str, said: dict[str, Any] | None) -> None:
            catalog.remove(name) if said is None else catalog.put(name, said)

        yield registry, put


@contextmanager
def in_files(folder: Path) -> Iterator[tuple[ClientRegistry, Put]]:
    file, tenants = folder / "tenants.yaml", dict(AT_FIRST)

    def write() -> None:
        file.write_text(json.dumps({**COMMON, "tenants": tenants}))  # which is YAML, too

    write()
    with ClientRegistry.open(file, environ=ENVIRON) as registry:

        def put(name: str, said: dict[str, Any] | None) -> None:
            tenants.update({name: said}) if said is not None else tenants.pop(name)
            write()
            registry.reload()

        yield registry, put


@contextmanager
def in_engine(said: dict[str, Any], **environ: str) -> Iterator[tuple[ClientRegistry, Put]]:
    config, environ = {**COMMON, "catalog": said}, {**ENVIRON, **environ}
    with open_engine(config, environ) as (engine, _):
        engine.prepare(10)
        engine.write([Write(name, each) for name, each in AT_FIRST.items()], "test", 10)
        with ClientRegistry.open(config, environ=environ) as registry:
            catalog = registry.catalog
            assert isinstance(catalog, LazyCatalog)
            catalog.poll()
            for name in AT_FIRST:
                registry.warm([name])  # all of them are loaded, as they are elsewhere

            def put(name: str, said: dict[str, Any] | None) -> None:
                engine.write([Write(name, said)], "test", 10)
                catalog.poll()

            yield registry, put


@pytest.fixture(params=["memory", "files", "sqlite", "postgres"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[ClientRegistry, Put]]:
    """A registry, and what changes one tenant and waits until it is seen."""
    if request.param == "postgres":
        dsn = request.getfixturevalue("postgres_dsn")
        kept = in_engine({"postgres": {"dsn": {"env": "DATABASE_URL"}}}, DATABASE_URL=dsn)
    elif request.param == "sqlite":
        kept = in_engine({"sqlite": {"path": str(tmp_path / "tenants.db")}})
    else:
        kept = in_memory(tmp_path) if request.param == "memory" else in_files(tmp_path)
    with kept as found:
        yield found


@pytest.fixture
def catalog(opened: tuple[ClientRegistry, Put]) -> Catalog:
    return opened[0].catalog


@pytest.fixture
def put(opened: tuple[ClientRegistry, Put]) -> Put:
    return opened[1]


def test_everybody(catalog: Catalog) -> None:
    """Names are counted, found and listed, those in quarantine included."""
    assert isinstance(catalog, Catalog)
    names = catalog.names()
    assert (4, set(AT_FIRST)) == (len(names), set(names))
    assert [True, True, False] == [each in names for each in ("acme", "wrong", "nobody")]


def test_get(catalog: Catalog) -> None:
    """A tenant is one object as long as it does not change; a name is spelled as it was given."""
    acme = catalog.get("acme")
    assert ("acme", 1, True) == (acme.name, acme.settings.max_retries, acme.settings.enabled)
    assert acme is catalog.get("acme")
    assert 3 == catalog.get("Globex").endpoints["eu"].max_retries
    assert not catalog.get("off").settings.enabled
    for name in ("globex", "nobody", "../acme", ""):
        with pytest.raises(UnknownTenantError):
            catalog.get(name)


def test_quarantine(catalog: Catalog) -> None:
    """Whose settings are wrong is not served, and it is known why."""
    with pytest.raises(TenantQuarantinedError) as caught:
        catalog.get("wrong")
    assert catalog.problems("wrong") == caught.value.problems
    assert ["tenants.wrong.max_retries"] == [each.path for each in caught.value.problems]
    assert () == catalog.problems("acme")


def test_changes(catalog: Catalog, put: Put) -> None:
    """The revision grows with every change, and says who changed since."""
    before = catalog.revision
    put("acme", {"max_retries": 2})
    between = catalog.revision
    put("stark", {})
    put("off", None)
    assert before < between < catalog.revision
    assert {"acme", "stark", "off"} == set(catalog.changes(before) or ())
    assert {"stark", "off"} == set(catalog.changes(between) or ())
    assert set() == set(catalog.changes(catalog.revision) or ())
    assert catalog.changes(-1) is None
    assert 2 == catalog.get("acme").settings.max_retries
    assert "stark" == catalog.get("stark").name
    with pytest.raises(UnknownTenantError):
        catalog.get("off")


def test_a_change_reaches_clients(opened: tuple[ClientRegistry, Put]) -> None:
    """A changed tenant gets another client, others keep theirs; a held one goes on."""
    registry, put = opened
    acme, globex = registry.client("acme"), registry.client("Globex")
    put("acme", {"max_retries": 5})
    assert (1, 5) == (acme.max_retries, registry.client("acme").max_retries)
    assert globex is registry.client("Globex")


def test_the_same_again(opened: tuple[ClientRegistry, Put]) -> None:
    """Who is put as it was keeps its client."""
    registry, put = opened
    acme = registry.client("acme")
    put("acme", {"max_retries": 1})
    assert acme is registry.client("acme")
