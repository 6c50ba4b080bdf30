"""The SDK clients of one endpoint: built on first use, shut, released and disposed together."""

from __future__ import annotations

import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI
from pydantic import SecretStr

from tenantry import RegistryClosedError
from tenantry.clients import EndpointClients, Sockets
from tenantry.events import ClientBuilt, Event, EventStream
from tenantry.secrets import Secrets
from tenantry.settings import References, TenantSettings
from tenantry.sources import kinds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenantry.testing import OpenAIServer

KEY = "sk-acme-0123456789"


class House:
    """Makes endpoints without a registry."""

    def __init__(self, server: OpenAIServer) -> None:
        self.server = server
        self.events = EventStream()
        self.secrets = Secrets({}, kinds(), {}, self.events)
        self._made: list[EndpointClients] = []

    def clients(self, **said: Any) -> EndpointClients:
        said = {"base_url": self.server.base_url, "api_key": SecretStr(KEY), **said}
        settings = TenantSettings.model_validate(said, context=References(kinds()))
        credentials = self.secrets.credentials("acme", settings)
        sockets = Sockets(self.secrets.schedule)
        made = EndpointClients("acme", "eu", settings, credentials, self.events, sockets)
        self._made.append(made)
        return made

    def close(self) -> None:
        for made in self._made:
            made.dispose()
        self.secrets.close()
        self.events.close()


@pytest.fixture
def house(server: OpenAIServer) -> Iterator[House]:
    made = House(server)
    yield made
    made.close()
    gc.collect()


def test_nothing_is_built_before_it_is_asked_for(house: House) -> None:
    """Making an endpoint builds no client, and each kind is built when it is first asked for."""
    clients = house.clients()
    assert ((), False) == (clients.built, clients.held)
    clients.sync()
    assert (("SealedOpenAI",), True) == (clients.built, clients.held)
    clients.async_()
    assert ("SealedOpenAI", "SealedAsyncOpenAI") == clients.built


def test_each_kind_is_built_once(house: House) -> None:
    """Sixteen threads that ask first get one client, and it was built once."""
    heard: list[Event] = []
    house.events.subscribe(heard.append)
    clients = house.clients()
    together = threading.Barrier(16)

    def first() -> OpenAI:
        together.wait()
        return clients.sync()

    with ThreadPoolExecutor(16) as threads:
        made = {id(done.result()) for done in [threads.submit(first) for _ in range(16)]}
    house.events.close()
    assert 1 == len(made)
    assert [ClientBuilt("acme", "eu", "SealedOpenAI")] == heard


@pytest.mark.parametrize(
    ("said", "sync", "async_"),
    [
        ({}, OpenAI, AsyncOpenAI),
        (
            {
                "provider": "azure",
                "base_url": None,
                "azure_endpoint": "https://acme.openai.azure.com",
                "api_version": "2024-10-21",
            },
            AzureOpenAI,
            AsyncAzureOpenAI,
        ),
    ],
    ids=["openai", "azure"],
)
def test_the_provider_chooses_the_classes(
    house: House, said: dict[str, Any], sync: type[OpenAI], async_: type[AsyncOpenAI]
) -> None:
    """An `openai` tenant has OpenAI clients, an `azure` tenant Azure ones."""
    clients = house.clients(**said)
    assert isinstance(clients.sync(), sync)
    assert isinstance(clients.async_(), async_)


def test_both_clients_share_the_gate(house: House) -> None:
    """Sync and async clients of an endpoint pass one gate, whose boundary is its address."""
    clients = house.clients()
    sync: Any = clients.sync()
    async_: Any = clients.async_()
    assert sync.gate is async_.gate is clients.gate
    assert f"{house.server.base_url}/" == str(clients.gate.boundary)


def test_the_boundary_is_the_sdks_address_where_none_is_said(house: House) -> None:
    """A tenant that says no address is held to the one of its first client."""
    clients = house.clients(base_url=None)
    assert clients.gate.boundary is None
    clients.sync()
    assert "https://api.openai.com/v1/" == str(clients.gate.boundary)


async def test_a_shut_gate_lets_nothing_through(house: House) -> None:
    """After `shut` requests raise what it said, as the SDK's error, with nothing sent."""
    clients = house.clients(api_key=SecretStr(KEY))
    sync, async_ = clients.sync(), clients.async_()
    clients.shut(RegistryClosedError)
    with pytest.raises(RegistryClosedError):
        sync.models.list()
    with pytest.raises(RegistryClosedError):
        await async_.models.list()
    assert () == house.server.requests


async def test_what_was_disposed_goes_on_when_used(house: House) -> None:
    """`dispose` and `adispose` close connections and not clients."""
    clients = house.clients()
    sync, async_ = clients.sync(), clients.async_()
    for _ in range(2):
        sync.models.list()
        await async_.models.list()
        await clients.adispose()
    assert (4, 4) == (house.server.count(status=200), house.server.connections)


async def test_what_was_released_lives_as_long_as_somebody_holds_it(house: House) -> None:
    """`release` keeps no client alive; one that is held works and can still be shut."""
    clients = house.clients()
    held, dropped = clients.sync(), clients.async_()
    await dropped.models.list()
    del dropped
    clients.release()
    held.models.list()
    assert ((), True) == (clients.built, clients.held)
    clients.shut(RegistryClosedError)
    with pytest.raises(RegistryClosedError):
        held.models.list()
    clients.dispose()
    del held
    gc.collect()
    assert not clients.held


async def test_bodies_are_in_flight_whichever_client_reads_them(house: House) -> None:
    """Of sync and async clients alike, and still after `release`."""
    clients = house.clients()
    sync: Any = clients.sync()
    async_: Any = clients.async_()
    said = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    streams = sync.chat.completions.create(**said), await async_.chat.completions.create(**said)
    assert 2 == clients.in_flight()
    clients.release()
    assert (2, {"sync", "async"}) == (clients.in_flight(), set(clients.kinds_held))
    assert list(streams[0])
    assert 1 == clients.in_flight()
    assert [chunk async for chunk in streams[1]]
    assert 0 == clients.in_flight()
    await clients.adispose()


def test_a_client_keeps_its_endpoint_alive(house: House) -> None:
    """Whoever can send can be shut: the endpoint goes with its last client, and not before."""
    clients = house.clients()
    house._made.clear()
    alive = weakref.ref(clients)
    clone = clients.sync().with_options(timeout=5)
    clients.release()
    del clients
    gc.collect()
    assert alive() is not None
    del clone
    gc.collect()
    assert alive() is None
