"""`clients["acme"]` is for clients what `caches["default"]` is for caches."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import openai
import pytest
from django.core.signals import request_finished

from tenantry import RegistryClosedError, TenantDisabledError, UnknownTenantError
from tenantry.integrations.django import async_clients, clients, get_registry

if TYPE_CHECKING:
    from tenantry.testing import OpenAIServer

pytestmark = pytest.mark.usefixtures("configured")


def test_clients_by_name(openai_server: OpenAIServer) -> None:
    """A tenant's client is the registry's own, sends the tenant's key, and is an SDK client."""
    client = clients["acme"]
    assert client is get_registry().client("acme")
    assert isinstance(client, openai.OpenAI)
    client.models.list()
    assert ["acme"] == [request.tenant for request in openai_server.requests]


def test_async_clients_by_name(openai_server: OpenAIServer) -> None:
    """The async client serves any event loop, one after the other."""
    client = async_clients["globex"]

    async def ask() -> None:
        await client.models.list()

    for _ in range(3):
        asyncio.run(ask())
    assert ["globex"] * 3 == [request.tenant for request in openai_server.requests]


def test_one_for_all_threads() -> None:
    """Unlike a database connection, a client is not made again for each thread."""
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(clients["acme"])) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [clients["acme"]] * 5 == found


def test_names() -> None:
    """Names can be looked for, counted and listed, and nothing is built for it."""
    names = ["acme", "globex", "keyless", "off"]
    assert (names, 4) == (sorted(clients), len(async_clients))
    assert "acme" in clients
    assert "acmee" not in async_clients
    assert () == get_registry().status("acme").clients


@pytest.mark.parametrize(
    ("name", "error"), [("acmee", UnknownTenantError), ("off", TenantDisabledError)]
)
def test_names_that_have_no_client(name: str, error: type[Exception]) -> None:
    """Errors are the registry's own; what is unknown is a LookupError, as of any mapping."""
    for ask in (clients.__getitem__, async_clients.__getitem__):
        with pytest.raises(error):
            ask(name)
    assert issubclass(UnknownTenantError, LookupError)


def test_letting_go() -> None:
    """`del` drops a client: who holds it keeps a working one, who asks gets another."""
    held = clients["acme"]
    del clients["acme"]
    assert held is not clients["acme"]
    assert "list" == held.models.list().object


def test_closing_all() -> None:
    """`close_all()` shuts what was handed out; whoever asks next opens anew."""
    held = clients["acme"]
    clients.close_all()
    with pytest.raises(RegistryClosedError):
        held.models.list()
    assert "list" == clients["acme"].models.list().object


def test_the_end_of_a_request_closes_nothing() -> None:
    """The signal that closes database connections leaves clients alone."""
    held = clients["acme"]
    request_finished.send(None)
    assert held is clients["acme"]
    assert "list" == held.models.list().object
