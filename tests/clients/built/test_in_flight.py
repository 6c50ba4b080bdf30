"""What is in flight is counted wherever it is, and draining waits for it."""

from __future__ import annotations

import asyncio
import functools
import gc
import math
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from tests.clients.built.conftest import KEY, LIMIT, listed, stream

from tenantry import ClientRegistry
from tenantry.clients.http import httpx

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from tests.clients.built.conftest import Clock, Estate
    from tests.clients.conftest import Patient


def test_nothing_in_flight_is_drained_at_once(estate: Estate, clock: Clock) -> None:
    """Without a look at the clock more than needed, and with clients that were used."""
    estate.registry.client("acme").models.list()
    assert {} == estate.registry.drain(timeout=0)
    assert {} == estate.registry.drain(timeout=math.inf)


def wait_for(true: Callable[[], bool]) -> None:
    """Look again until something is true."""
    end = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < end
        time.sleep(0.002)


@pytest.mark.parametrize("evicted", [False, True])
def test_a_stream_is_in_flight_until_it_is_read(
    estate: Estate, patient: Patient, evicted: bool
) -> None:
    """Whether or not its client is the registry's still, and by its tenant's name."""
    chunks = stream(estate.registry.client("acme"))
    if evicted:
        estate.registry.evict("acme")
        estate.registry.client("acme").models.list()
    assert {"acme": 1} == estate.registry.drain(timeout=0.02)
    assert 1 == estate.registry.status("acme").in_flight
    patient.body_go.set()
    with ThreadPoolExecutor(1) as threads:
        draining = threads.submit(estate.registry.drain, LIMIT)
        assert 2 == len(list(chunks))
        assert {} == draining.result(LIMIT)


@pytest.mark.parametrize("evicted", [False, True])
async def test_an_async_stream_is_in_flight_until_it_is_read(
    estate: Estate, patient: Patient, evicted: bool
) -> None:
    """`adrain` lets the loop go on reading."""
    chunks = await stream(estate.registry.async_client("acme"))
    if evicted:
        estate.registry.evict("acme")
        await estate.registry.async_client("acme").models.list()
    assert {"acme": 1} == await estate.registry.adrain(timeout=0.02)
    patient.body_go.set()
    draining = asyncio.create_task(estate.registry.adrain(LIMIT))
    assert 2 == len([chunk async for chunk in chunks])
    assert {} == await draining
    await estate.registry.aclose()


def test_who_waits_for_headers_is_in_flight(estate: Estate, patient: Patient) -> None:
    """Counted by tenant, until the answer is there."""
    patient.headers_go.clear()
    names = ["acme", "globex", "globex"]
    with ThreadPoolExecutor(4) as threads:
        listing = [threads.submit(estate.registry.client(name).models.list) for name in names]
        patient.arrived(3)
        assert {"acme": 1, "globex": 2} == estate.registry.drain(timeout=0)
        draining = threads.submit(estate.registry.drain, LIMIT)
        patient.headers_go.set()
        assert {} == draining.result(LIMIT)
        for each in listing:
            each.result(LIMIT)


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("setting", ["api_key", "default_headers"])
def test_who_waits_for_a_secret_is_in_flight(patient: Patient, kind: str, setting: str) -> None:
    """The gate has let the request begin, although nothing is sent yet."""
    begun, go_on = threading.Event(), threading.Event()

    def source() -> str:
        begun.set()
        assert go_on.wait(LIMIT)
        return KEY

    secret = {"python": {"call": source}}
    said: dict[str, Any] = {"base_url": patient.base_url, "api_key": SecretStr(KEY)}
    said[setting] = secret if setting == "api_key" else {"x-secret": secret}
    with (
        ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as registry,
        ThreadPoolExecutor(1) as threads,
    ):
        if kind == "sync":
            asking: Future[object] = threads.submit(registry.client("acme").models.list)
        else:
            listing = functools.partial(listed, registry.async_client("acme"))
            asking = threads.submit(lambda: asyncio.run(listing()))
        assert begun.wait(LIMIT)
        assert {"acme": 1} == registry.drain(timeout=0)
        go_on.set()
        asking.result(LIMIT)
        assert {} == registry.drain(timeout=0)


def test_a_body_that_was_dropped_is_not_waited_for(estate: Estate) -> None:
    """Once it is collected it is over."""
    chunks = stream(estate.registry.client("acme"))
    assert {"acme": 1} == estate.registry.drain(timeout=0)
    del chunks
    gc.collect()
    assert {} == estate.registry.drain(timeout=0)


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_an_answer_that_was_there_before_holds_nothing_up(estate: Estate, kind: str) -> None:
    """A mock's answer, or a preloaded one, is never closed, and not in flight."""
    answer = httpx.Response(200, json={"object": "list", "data": []})
    client: Any = estate.registry.client("acme")
    if kind == "async":
        client = estate.registry.async_client("acme")
    client._client._transport = httpx.MockTransport(lambda _: answer)
    listing = client.with_raw_response.models.list()
    kept = await listing if kind == "async" else listing
    assert {} == estate.registry.drain(timeout=0)
    assert 200 == kept.status_code


def test_a_request_is_counted_wherever_it_is(
    estate: Estate, patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who looks at the pool before a request is there, and at the gate once it is past, sees it."""
    client: Any = estate.registry.client("acme")
    connections, gate = client._client.connections, client.gate
    users, check_hop = connections.users, gate.check_hop
    arrived, go_on = threading.Event(), threading.Event()

    def waiting(request: Any) -> None:
        arrived.set()
        assert go_on.wait(LIMIT)
        check_hop(request)

    monkeypatch.setattr(gate, "check_hop", waiting)
    with ThreadPoolExecutor(1) as threads:
        passing = threads.submit(stream, client)
        assert arrived.wait(LIMIT)

        def before() -> list[object]:
            found = list(users())
            go_on.set()
            passing.result(LIMIT)
            return found

        monkeypatch.setattr(connections, "users", before)
        assert 1 == estate.endpoint("acme").in_flight()
    patient.body_go.set()
    assert 2 == len(list(passing.result()))
