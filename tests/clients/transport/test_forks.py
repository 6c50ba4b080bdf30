"""A forked child opens sockets of its own, and those of its parent go on working."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pydantic import SecretStr
from tests.clients.transport.conftest import KEY, in_parallel, pools
from tests.forking import in_child

from tenantry import ClientRegistry

if TYPE_CHECKING:
    from tests.clients.conftest import Patient

    from tenantry.testing import OpenAIServer


def test_a_child_does_not_use_its_parents_sockets(
    registry: ClientRegistry, server: OpenAIServer
) -> None:
    """After a fork a held client opens sockets of its own, and the parent's go on working."""
    client = registry.client("acme")
    aclient = registry.async_client("acme")
    client.models.list()

    def work() -> int:
        asyncio.run(in_parallel(aclient, 1))
        return len(client.models.list().data)

    assert 2 == in_child(work)
    client.models.list()
    ports = [request.client_port for request in server.requests]
    assert (4, 3) == (len(ports), len(set(ports)))
    assert ports[0] == ports[3]


async def test_a_fork_parks_the_pools(registry: ClientRegistry, server: OpenAIServer) -> None:
    """What a child does first with its transports leaves the parent's sockets open."""
    client, aclient = registry.client("acme"), registry.async_client("acme")
    client.models.list()
    await aclient.models.list()
    for each in (client, aclient):
        before = vars(pools(each)).copy()
        pools(each).after_fork()
        assert 1 == len(pools(each)._parked)
        vars(pools(each)).update(before)
    await registry.aclose()


def test_a_fork_before_the_first_request_parks_nothing(registry: ClientRegistry) -> None:
    """A client that has no sockets yet has none to park."""
    for client in (registry.client("acme"), registry.async_client("acme")):
        pools(client).after_fork()
        assert () == pools(client)._parked


def test_what_is_in_flight_in_the_parent_is_not_in_the_child(patient: Patient) -> None:
    """A child has nothing to drain, whatever its parent waits for."""
    said = {"base_url": patient.base_url, "api_key": SecretStr(KEY)}
    with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as registry:
        client = registry.client("acme")
        patient.headers_go.clear()
        with ThreadPoolExecutor(1) as threads:
            listing = threads.submit(client.models.list)
            patient.arrived()
            assert {} == in_child(lambda: registry.drain(5))
            assert {"acme": 1} == registry.drain(0)
            patient.headers_go.set()
            listing.result(10)
