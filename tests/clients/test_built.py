"""Clients are evicted without harm to who holds one, and nobody who can send is ever forgotten."""

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

from tenantry import ClientRegistry, RegistryClosedError, TenantDisabledError
from tenantry.clients import built as built_clients
from tenantry.clients.built import SHORTEST_NAP, BuiltClients
from tenantry.clients.http import httpx
from tenantry.events import ClientEvicted, Event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from tests.clients.conftest import Patient

    from tenantry.clients import EndpointClients

KEY = "sk-acme-0123456789"
LIMIT = 10.0  # seconds after which a test that hangs fails


class Clock:
    """Time since the process began, and what the test adds to it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


class Book:
    """A schedule that notes what is asked of it, and calls nobody."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    def at(self, when: float, _: object) -> None:
        self.asked.append(when)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(built_clients, "clock", made)
    return made


class Estate:
    """A registry of three tenants on a server that waits, and what it tells."""

    def __init__(self, patient: Patient) -> None:
        self.said = {"base_url": patient.base_url, "api_key": SecretStr(KEY), "max_retries": 0}
        names = ("acme", "globex", "initech")
        config = {
            "registry": {"idle_after": 600, "max_clients": 1000},
            "tenants": dict.fromkeys(names, self.said),
        }
        self.registry = ClientRegistry.open(config, environ={})
        self.built: BuiltClients = self.registry._clients
        self.heard: list[Event] = []
        self.registry.subscribe(self.heard.append)

    def endpoint(self, name: str) -> EndpointClients:
        return self.built.pool.built[name]

    def evictions(self) -> list[tuple[str, str, str]]:
        """End the registry, and return who was evicted, and why."""
        self.registry.close()
        evicted = [event for event in self.heard if isinstance(event, ClientEvicted)]
        return [(event.tenant, event.kind, event.reason) for event in evicted]


@pytest.fixture
def estate(patient: Patient) -> Iterator[Estate]:
    made = Estate(patient)
    yield made
    made.registry.close()
    gc.collect()


def stream(client: Any) -> Any:
    messages = [{"role": "user", "content": "hi"}]
    return client.chat.completions.create(model="m", messages=messages, stream=True)


# -- idle -----------------------------------------------------------------------------------------


def test_what_is_idle_for_long_enough_is_evicted(estate: Estate, clock: Clock) -> None:
    """The event has the reason, who holds a client keeps a working one, the next is another."""
    held = estate.registry.client("acme")
    held.models.list()
    clock.ahead = 599
    estate.built.due()
    assert held is estate.registry.client("acme")
    clock.ahead = 601
    estate.built.due()
    held.models.list()
    assert held is not estate.registry.client("acme")
    assert [("acme", "SealedOpenAI", "idle")] == estate.evictions()


def test_what_is_in_flight_is_not_idle(estate: Estate, clock: Clock, patient: Patient) -> None:
    """A stream that takes longer than `idle_after` keeps its client in its place."""
    client = estate.registry.client("acme")
    chunks = stream(client)
    clock.ahead = 3600
    estate.built.due()
    assert client is estate.registry.client("acme")
    patient.body_go.set()
    assert 2 == len(list(chunks))
    clock.ahead += 1
    estate.built.due()
    assert [("acme", "SealedOpenAI", "idle")] == estate.evictions()


def test_idle_sockets_go_with_their_clients(estate: Estate, patient: Patient) -> None:
    """Eviction closes them although somebody holds the client, which then connects anew."""
    held = estate.registry.client("acme")
    held.models.list()
    assert patient.left_with(sockets=1)
    estate.registry.evict("acme")
    assert patient.left_with(sockets=0)
    held.models.list()
    assert [("acme", "SealedOpenAI", "asked")] == estate.evictions()


@pytest.fixture
def alone(estate: Estate, clock: Clock) -> tuple[BuiltClients, Book]:
    """Built clients that nobody calls but the test."""
    book: Any = Book()
    made = BuiltClients(
        estate.registry._events, book, evicted=lambda _: (), idle_after=60, limit=10
    )
    return made, book


def of(estate: Estate, name: str) -> EndpointClients:
    """Make an endpoint that nobody has yet."""
    return estate.registry._build(name, None)


def test_it_is_called_when_the_first_can_be_idle(
    alone: tuple[BuiltClients, Book], estate: Estate, clock: Clock
) -> None:
    """Once for all, however many there are, and again while any are left."""
    built, book = alone
    for name in estate.registry.tenants:
        built.get(name, None, lambda name=name: of(estate, name))  # type: ignore[misc]  # bound
    assert 1 == len(book.asked)
    clock.ahead = 30
    built.pool.built["acme"].gate.last_use = clock()
    clock.ahead = 61
    built.due()
    assert ["acme"] == list(built.pool)
    clock.ahead = 91
    built.due()
    assert ([], 2) == (list(built.pool), len(book.asked))
    assert [60, 90] == [round(each - time.monotonic()) for each in book.asked]


def test_a_call_that_a_nearer_one_has_replaced_does_nothing(
    alone: tuple[BuiltClients, Book], estate: Estate, clock: Clock
) -> None:
    """Otherwise there would be one more of them for ever, after each change of `idle_after`."""
    built, book = alone
    built.get("acme", None, lambda: of(estate, "acme"))
    built.idle_after = 10
    built.idle_after = 10
    assert [60, 10] == [round(each - time.monotonic()) for each in book.asked]
    clock.ahead = 5
    built.pool.built["acme"].gate.last_use = clock()
    clock.ahead = 10.5
    built.due()
    assert 3 == len(book.asked)
    built.due()
    assert 3 == len(book.asked)


def test_a_child_goes_on_where_its_parent_was(
    alone: tuple[BuiltClients, Book], estate: Estate, clock: Clock
) -> None:
    """The call that the parent asked for is still to come, and nobody need ask for it."""
    built, book = alone
    built.get("acme", None, lambda: of(estate, "acme"))
    built.after_fork()
    clock.ahead = 30
    built.pool.built["acme"].gate.last_use = clock()
    clock.ahead = 61
    built.due()
    assert 2 == len(book.asked)


def test_nothing_is_idle_where_nothing_is_said(
    alone: tuple[BuiltClients, Book], estate: Estate, clock: Clock
) -> None:
    """`idle_after: null` keeps clients, until a reload says something else."""
    built, book = alone
    built.idle_after = None
    built.get("acme", None, lambda: of(estate, "acme"))
    clock.ahead = 1e6
    built.due()
    assert (1, []) == (len(built.pool), book.asked)
    built.idle_after = 60
    assert clock() + SHORTEST_NAP == pytest.approx(book.asked[0], abs=0.1)
    clock.ahead += 1
    built.due()
    assert 0 == len(built.pool)


# -- too many -------------------------------------------------------------------------------------


def test_above_the_limit_the_longest_idle_is_evicted(estate: Estate) -> None:
    """Who holds it keeps a working one, and the one just asked for is never the victim."""
    estate.built.limit = 2
    held = {name: estate.registry.client(name) for name in ("acme", "globex")}
    held["acme"].models.list()
    estate.endpoint("globex").gate.last_use -= 10
    estate.registry.client("initech")
    assert ["acme", "initech"] == list(estate.built.pool)
    held["globex"].models.list()
    assert [("globex", "SealedOpenAI", "limit")] == estate.evictions()


def test_a_limit_of_one_works(estate: Estate) -> None:
    """Each tenant that is asked for takes the place of the one before."""
    estate.built.limit = 1
    for _ in range(2):
        for name in estate.registry.tenants:
            estate.registry.client(name).models.list()
            assert [name] == list(estate.built.pool)


# -- who still holds one --------------------------------------------------------------------------


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


async def listed(client: Any) -> object:
    return await client.models.list()


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


# -- what is in flight ----------------------------------------------------------------------------


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
