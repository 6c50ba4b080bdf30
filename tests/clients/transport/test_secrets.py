"""A connection that was opened with old secrets serves its users to their end, and no new ones."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from tests.clients.transport.conftest import KEY, pools, read, settled, streamed

from tenantry import ClientRegistry

if TYPE_CHECKING:
    from tests.clients.conftest import Patient


@pytest.mark.parametrize("sync", [True, False])
async def test_other_secrets_mean_another_pool(patient: Patient, sync: bool) -> None:
    """What was opened with the old ones ends with its last user; new requests do not use it."""
    said = {"base_url": patient.base_url, "api_key": SecretStr(KEY), "max_retries": 0}
    async with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as registry:
        client: Any = registry.client("acme") if sync else registry.async_client("acme")
        connection = pools(client).connection
        secret = Rotating()
        connection.credentials = (secret,)
        make = connection.sync_pool if sync else connection.async_pool
        setattr(connection, "sync_pool" if sync else "async_pool", lambda _: make(()))
        stream = await streamed(client)
        secret.value = "second"
        for _ in range(2):
            await settled(client.models.list())
        assert 2 == len(patient.sockets)
        patient.body_go.set()
        assert 2 == len(await read(stream))
        assert await asyncio.to_thread(patient.left_with, 1)


class Rotating:
    """A credential whose value the test sets."""

    value = "first"

    def get(self) -> str:
        return self.value

    async def aget(self) -> str:
        return self.value
