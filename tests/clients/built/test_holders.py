"""Superseded clients are known until nobody holds them: nobody who can send is ever forgotten."""

from __future__ import annotations

import asyncio
import functools
import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from tests.clients.built.conftest import LIMIT, listed, of

from tenantry import RegistryClosedError, TenantDisabledError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.clients.built.conftest import Estate


def test_superseded_clients_are_known_until_nobody_holds_them(estate: Estate) -> None:
    """A clone counts as its client does."""
    clone = estate.registry.client("acme", timeout=5)
    aclient = estate.registry.async_client("acme")
    estate.registry.evict("acme")
    assert {"sync", "async"} == set(estate.registry.status("acme").superseded)
    del aclient
    gc.collect()
    assert ("sync",) == estate.registry.status("acme").superseded
    del clone
    gc.collect()
    assert () == estate.registry.status("acme").superseded
    assert [] == estate.built.superseded()


def test_evicting_twice_is_told_once(estate: Estate) -> None:
    """Two who evict the same at once do it once."""
    held = estate.registry.client("acme")
    clients = estate.endpoint("acme")
    estate.built.evict(clients, "idle")
    estate.built.evict(clients, "limit")
    held.models.list()
    assert 1 == len(estate.built.superseded("acme"))
    assert [("acme", "SealedOpenAI", "idle")] == estate.evictions()


def test_what_is_put_aside_is_not_missed_on_its_way(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who closes the registry while clients leave the pool shuts their gates too."""
    held = estate.registry.client("acme")
    clients = estate.endpoint("acme")
    evict = estate.built.pool.evict

    def closing(*args: Any) -> Any:
        found = evict(*args)
        estate.registry.close()
        return found

    monkeypatch.setattr(estate.built.pool, "evict", closing)
    estate.built.evict(clients, "idle")
    with pytest.raises(RegistryClosedError):
        held.models.list()


def overtaken(estate: Estate, kind: str) -> Any:
    """Ask for a client whose endpoint is evicted while it is built, and return it."""
    clients = estate.built.get("acme", None, lambda: of(estate, "acme"))
    begun, go_on = threading.Event(), threading.Event()

    def slow(make: Callable[[], Any]) -> Any:
        begun.set()
        assert go_on.wait(LIMIT)
        return make()

    build = f"_build_{kind}"
    setattr(clients, build, functools.partial(slow, getattr(clients, build)))
    ask: Any = clients.sync if kind == "sync" else clients.async_
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(ask)
        assert begun.wait(LIMIT)
        estate.registry.evict("acme")
        gc.collect()
        estate.built.due()
        go_on.set()
        held = asked.result(LIMIT)
    assert () == clients.built
    return held


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("end", ["close", "disable"])
def test_a_build_that_an_eviction_overtakes_has_a_gate_that_can_be_shut(
    estate: Estate, kind: str, end: str
) -> None:
    """Who asked before gets a client, although its endpoint is none of the registry's any more."""
    held = overtaken(estate, kind)
    assert ["acme"] == [each.tenant for each in estate.built]
    if end == "close":
        estate.registry.close()
    else:
        estate.built.shut("acme", lambda: TenantDisabledError("acme"))
    with pytest.raises((RegistryClosedError, TenantDisabledError)):
        _ = asyncio.run(listed(held)) if kind == "async" else held.models.list()
    del held
    gc.collect()
    assert [] == estate.built.superseded()


def test_a_tenant_that_is_enabled_again_opens_all_its_gates(estate: Estate) -> None:
    """Those of superseded clients too."""
    held = estate.registry.client("acme")
    estate.registry.evict("acme")
    current = estate.registry.client("acme")
    estate.built.shut("acme", lambda: TenantDisabledError("acme"))
    for client in (held, current):
        with pytest.raises(TenantDisabledError):
            client.models.list()
    estate.built.reopen("acme")
    for client in (held, current):
        client.models.list()


@pytest.mark.parametrize("turns", [30, pytest.param(1000, marks=pytest.mark.stress)])
def test_clients_of_every_race_end_with_the_registry(estate: Estate, turns: int) -> None:
    """Threads that ask while others evict hold nothing that outlives `close`."""
    names = list(estate.registry.tenants)
    together = threading.Barrier(4)

    def ask(name: str) -> list[Any]:
        together.wait(LIMIT)
        return [estate.registry.client(name) for _ in range(turns)]

    def evict() -> list[Any]:
        together.wait(LIMIT)
        for _ in range(turns):
            for name in names:
                estate.registry.evict(name)
        return []

    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(ask, name) for name in names]
        running.append(threads.submit(evict))
        held = {id(client): client for each in running for client in each.result(60)}
    estate.registry.close()
    open_gates = [client for client in held.values() if client.gate.shut is None]
    assert [] == open_gates
