"""What a registry is opened with: files, code, or an engine, and never a URL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tenantry import ClientRegistry, ConfigError
from tenantry.catalog import LazyCatalog, MemoryCatalog
from tenantry.catalog.engine import Write
from tenantry.errors import CatalogUnavailableError
from tenantry.events import EventStream
from tenantry.opening import Opening, _revealing, open_engine
from tenantry.sources import kinds

if TYPE_CHECKING:
    from pathlib import Path

ALLOW: dict[str, Any] = {"allow": {}, "defaults": {"api_key": {"env": "KEY"}}}
DSN = "postgresql://tenantry:planted@db.example/tenants"


def lines(dsn: Any) -> dict[str, Any]:
    return {**ALLOW, "catalog": {"postgres": {"dsn": dsn}}}


@pytest.mark.parametrize("url", [DSN, "sqlite:///tenants.db", "https://example.org/tenants.yaml"])
def test_a_url_is_no_configuration(url: str) -> None:
    """Who gives the address of a database is shown what to write, and the address is not told."""
    ways: list[tuple[Any, dict[str, str]]]
    ways = [(url, {}), ([url], {}), (None, {"TENANTRY_CONFIG": url})]
    for config, environ in ways:
        with pytest.raises(ConfigError) as caught:
            ClientRegistry.open(config, environ=environ)
        assert "catalog: {postgres: {dsn: {env: DATABASE_URL}}}" in str(caught.value)
        assert "planted" not in str(caught.value)


def test_an_engine_for_commands(tmp_path: Path) -> None:
    """Commands have the engine that a configuration names, and what reads its rows, alone."""
    config = {**ALLOW, "catalog": {"sqlite": {"path": str(tmp_path / "tenants.db")}}}
    with open_engine(config, {}) as (engine, configuration):
        engine.prepare(5)
        engine.write([Write("acme", {"max_retries": 4})], "test", 5)
        row = engine.row("acme", 5)
        assert row is not None
        tenant = configuration.rows.read(row.name, row.said, "sqlite:tenants/acme")
    assert 4 == tenant.settings.max_retries
    files = {"tenants": {"acme": ALLOW["defaults"]}}
    with pytest.raises(ConfigError, match="names no engine"), open_engine(files, {}):
        pass


def test_limits_of_an_engine(tmp_path: Path) -> None:
    """What stands beside an engine reaches the catalog over it."""
    said = {"path": str(tmp_path / "tenants.db"), "poll": "7s", "cache": 3}
    config = {**ALLOW, "catalog": {"sqlite": said}, "registry": {"max_catalog_stale": "1h"}}
    opening = Opening(config, {}, kinds())
    catalog = opening.catalog(opening.read())
    assert isinstance(catalog, LazyCatalog)
    found = (catalog._follower.every, catalog._loaded.limit, catalog._outage.max_stale)
    assert (7.0, 3, 3600.0) == found
    catalog.close()


def test_a_catalog_in_memory_needs_nothing() -> None:
    """Without an engine, tenants of a mapping stand in memory."""
    opening = Opening({"tenants": {"acme": {"api_key": {"env": "KEY"}}}}, {}, kinds())
    assert isinstance(opening.catalog(opening.read()), MemoryCatalog)


def test_the_secret_of_a_database(tmp_path: Path) -> None:
    """It is a credential as any: read anew when it rotated, and its absence is told without it."""
    file = tmp_path / "dsn"
    file.write_text(DSN)
    opening = Opening(
        lines({"file": {"path": str(file), "refresh": {"every": "1ms"}}}), {}, kinds()
    )
    read = opening.read()
    secrets = opening.secrets(read, EventStream())
    assert read.catalog is not None
    assert read.catalog.postgres is not None
    dsn = _revealing(secrets, read.catalog.postgres.dsn)
    assert dsn() == DSN  # which is the secret
    secrets.close()


def test_a_database_whose_secret_is_not_there() -> None:
    """Without its secret a database is away, and who asks is told where the secret was to be."""
    opening = Opening(lines({"env": "DATABASE_URL"}), {}, kinds())
    read = opening.read()
    secrets = opening.secrets(read, EventStream())
    assert read.catalog is not None
    assert read.catalog.postgres is not None
    with pytest.raises(CatalogUnavailableError, match="env DATABASE_URL"):
        _revealing(secrets, read.catalog.postgres.dsn)()
    secrets.close()


def test_the_secret_of_a_database_in_a_variable() -> None:
    """`TENANTRY_CATALOG__POSTGRES__DSN` is the secret itself, and is not shown."""
    environ = {"TENANTRY_CATALOG__POSTGRES__DSN": DSN}
    opening = Opening({**ALLOW, "catalog": {"postgres": {}}}, environ, kinds())
    read = opening.read()
    assert read.catalog is not None
    assert "planted" not in repr(read)
    secrets = opening.secrets(read, EventStream())
    assert read.catalog.postgres is not None
    assert DSN == _revealing(secrets, read.catalog.postgres.dsn)()
    secrets.close()


def test_variables_lie_over_rows(tmp_path: Path) -> None:
    """A variable may say something of a tenant that stands in an engine."""
    config = {**ALLOW, "catalog": {"sqlite": {"path": str(tmp_path / "tenants.db")}}}
    environ = {"KEY": "sk-0123456789", "TENANTRY_TENANTS__ACME__MAX_RETRIES": "8"}
    with open_engine(config, environ) as (engine, _):
        engine.prepare(5)
        engine.write([Write("acme", {}), Write("globex", {})], "test", 5)
    with ClientRegistry.open(config, environ=environ) as registry:
        assert 8 == registry.client("acme").max_retries
        assert 2 == registry.client("globex").max_retries
