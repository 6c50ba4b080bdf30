"""Clients that are idle, or too many, are evicted without harm to who holds one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.clients.built.conftest import of, stream

from tenantry.clients.built import SHORTEST_NAP, BuiltClients

if TYPE_CHECKING:
    from tests.clients.built.conftest import Clock, Estate
    from tests.clients.conftest import Patient


class Book:
    """A schedule that notes what is asked of it, and calls nobody."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    def at(self, when: float, _: object) -> None:
        self.asked.append(when)


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
