"""While the engine is away a registry serves whom it knows, for as long as it may."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from tests.registry_lazy.conftest import KEYS, LIMIT, asend, catalog_of, poll, send

from tenantry.errors import CatalogUnavailableError

if TYPE_CHECKING:
    from tests.registry_lazy.conftest import Estate

    from tenantry import ClientRegistry


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
