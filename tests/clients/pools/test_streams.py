"""A stream outlives the retirement of its pool, and one that is dropped keeps no socket."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from tests.clients.pools.conftest import Transport

from tenantry import ClientRegistry
from tenantry.clients.pools import LoopPool, ThreadPool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openai import AsyncOpenAI, OpenAI
    from tests.clients.conftest import Patient

KEY = "sk-acme-0123456789"


@pytest.fixture
def registry(patient: Patient) -> Iterator[ClientRegistry]:
    said = {"base_url": patient.base_url, "api_key": SecretStr(KEY), "max_retries": 0}
    with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as opened:
        yield opened


def streamed(client: OpenAI) -> Any:
    messages: list[Any] = [{"role": "user", "content": "hi"}]
    return client.chat.completions.create(model="m", messages=messages, stream=True)


async def astreamed(client: AsyncOpenAI) -> Any:
    messages: list[Any] = [{"role": "user", "content": "hi"}]
    return await client.chat.completions.create(model="m", messages=messages, stream=True)


def test_a_stream_outlives_the_retirement_of_its_pool(
    registry: ClientRegistry, patient: Patient
) -> None:
    """It is read to its end, then its socket closes; new requests have connected anew meanwhile."""
    client: Any = registry.client("acme")
    stream = streamed(client)
    first = next(iter(stream))
    client._client.connections.retire()
    client.models.list()
    assert 2 == len(patient.sockets)
    patient.body_go.set()
    texts = [chunk.choices[0].delta.content for chunk in (first, *stream)]
    assert ["first", "last"] == texts
    assert patient.left_with(sockets=1)


async def test_an_async_stream_outlives_the_retirement_of_its_pool(
    registry: ClientRegistry, patient: Patient
) -> None:
    """As for sync ones."""
    client: Any = registry.async_client("acme")
    stream = await astreamed(client)
    first = await anext(aiter(stream))
    client._client.connections.retire()
    await client.models.list()
    patient.body_go.set()
    texts = [first.choices[0].delta.content]
    texts += [chunk.choices[0].delta.content async for chunk in stream]
    assert ["first", "last"] == texts
    assert await asyncio.to_thread(patient.left_with, 1)
    await registry.aclose()


def test_a_stream_that_is_dropped_in_mid_body_keeps_no_socket(
    registry: ClientRegistry, patient: Patient
) -> None:
    """Neither one that was begun, nor one that nobody read, nor a raw one."""
    client = registry.client("acme")
    begun = streamed(client)
    next(iter(begun))
    unread = streamed(client)
    raw = client.chat.completions.with_raw_response
    kept = raw.create(model="m", messages=[{"role": "user", "content": "hi"}], stream=True)
    assert patient.left_with(sockets=3)
    del begun, unread, kept
    gc.collect()
    patient.body_go.set()  # the server notices who is gone when it writes
    assert patient.left_with(sockets=0)
    assert 0 == registry.status("acme").in_flight


async def test_an_async_stream_that_is_dropped_in_mid_body_keeps_no_socket(
    registry: ClientRegistry, patient: Patient
) -> None:
    """As for sync ones."""
    client = registry.async_client("acme")
    begun, unread = await astreamed(client), await astreamed(client)
    await anext(aiter(begun))
    assert await asyncio.to_thread(patient.left_with, 2)
    del begun, unread
    gc.collect()
    patient.body_go.set()
    assert await asyncio.to_thread(patient.left_with, 0)
    assert 0 == registry.status("acme").in_flight
    await registry.aclose()


@pytest.mark.parametrize("sync", [True, False])
async def test_a_request_that_fails_is_over(
    registry: ClientRegistry, patient: Patient, sync: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception of the transport leaves no user behind, whatever it is."""
    client: Any = registry.client("acme") if sync else registry.async_client("acme")
    transport = client._client.connections
    kind = ThreadPool if sync else LoopPool
    failing = Transport()

    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(failing, "handle_request", broken, raising=False)
    monkeypatch.setattr(failing, "handle_async_request", broken, raising=False)
    name = "sync_pool" if sync else "async_pool"
    monkeypatch.setattr(transport.connection, name, lambda _: failing)
    with pytest.raises(KeyboardInterrupt):
        await settled(client.models.list())
    [pool] = transport._known()
    assert (kind, set(), 0) == (type(pool), pool.users, registry.status("acme").in_flight)
    await registry.aclose()
    assert failing.closed


async def settled(value: Any) -> Any:
    return await value if hasattr(value, "__await__") else value
