"""What is in flight is counted once, and known when its pool is retired or disposed of."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from openai import APIConnectionError
from pydantic import SecretStr
from tests.clients.transport.conftest import KEY, pools, read, settled, streamed

from tenantry import ClientRegistry
from tenantry.clients.http import httpx

if TYPE_CHECKING:
    from tests.clients.conftest import Patient

    from tenantry.testing import OpenAIServer

FOREIGN_KEY = "sk-globex-0123456789"


@pytest.mark.parametrize("sync", [True, False])
async def test_pools_in_use_are_known_when_they_are_retired(patient: Patient, sync: bool) -> None:
    """As many as there are, until they are no longer used."""
    said = {"base_url": patient.base_url, "api_key": SecretStr(KEY), "max_retries": 0}
    async with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as registry:
        client: Any = registry.client("acme") if sync else registry.async_client("acme")
        streams = []
        for _ in range(2):
            streams.append(await streamed(client))
            pools(client).retire()
        assert 2 == len(list(pools(client).users()))
        patient.body_go.set()
        for stream in streams:
            await read(stream)
        await settled(client.models.list())
        pools(client).retire()
        assert ([], ()) == (list(pools(client).users()), pools(client)._retired)


@pytest.mark.parametrize(("sync", "http"), [(True, "auto"), (False, "httpx"), (False, "aiohttp")])
@pytest.mark.parametrize("retired", [True, False])
async def test_disposing_closes_what_is_in_use_too(
    patient: Patient, sync: bool, http: str, retired: bool
) -> None:
    """A stream that is read when its registry closes ends with an error, and leaves no socket."""
    said = {"base_url": patient.base_url, "api_key": SecretStr(KEY), "http": http}
    async with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as registry:
        client: Any = registry.client("acme") if sync else registry.async_client("acme")
        stream = await streamed(client)
        if retired:
            pools(client).retire()
        await registry.aclose()
        patient.body_go.set()
        with pytest.raises((APIConnectionError, httpx.TransportError)):
            await read(stream)
    assert await asyncio.to_thread(patient.left_with, 0)


def counted(registry: ClientRegistry, client: Any) -> list[int]:
    """Have each hop of a client's requests note how many are in flight; return the notes."""
    counts, check_hop = list[int](), client.gate.check_hop

    def counting(request: Any) -> None:
        counts.append(registry.status("acme").in_flight)
        check_hop(request)

    client.gate.check_hop = counting
    return counts


@pytest.mark.parametrize("sync", [True, False])
async def test_a_redirect_counts_once(patient: Patient, sync: bool) -> None:
    """Its hops are one request, and nothing is in flight when the last has been answered."""
    said = {"base_url": patient.base_url, "api_key": SecretStr(KEY), "max_retries": 0}
    async with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as registry:
        client: Any = registry.client("acme") if sync else registry.async_client("acme")
        counts = counted(registry, client)
        for _ in range(2):
            await settled(client.get("/moved", cast_to=object))
        assert ({1}, 0) == (set(counts), registry.status("acme").in_flight)
        patient.arrived(4)


@pytest.mark.parametrize("sync", [True, False])
async def test_a_replayed_request_counts_once(server: OpenAIServer, sync: bool) -> None:
    """A 401 and what is sent after it are one request."""
    keys = iter([FOREIGN_KEY, KEY])
    said = {
        "base_url": server.base_url,
        "api_key": {"python": {"call": lambda: next(keys)}},
        "max_retries": 0,
    }
    async with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as registry:
        client: Any = registry.client("acme") if sync else registry.async_client("acme")
        counts = counted(registry, client)
        await settled(client.models.list())
        assert ({1}, 0) == (set(counts), registry.status("acme").in_flight)
    assert [401, 200] == [request.status for request in server.requests]
