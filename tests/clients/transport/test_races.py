"""Threads and loops that send beside others who retire their pools are all answered."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from tests.clients.transport.conftest import KEY, in_parallel, pools

from tenantry import ClientRegistry

if TYPE_CHECKING:
    from tests.clients.conftest import Patient


def hasty(work: Any, threads: int, turns: int) -> None:
    """Do something from threads that take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(threads) as executor:
            for done in [executor.submit(work, each, turns) for each in range(threads)]:
                done.result(100)
    finally:
        sys.setswitchinterval(before)


@pytest.mark.parametrize("turns", [20, pytest.param(500, marks=pytest.mark.stress)])
def test_retiring_beside_requests_fails_none(patient: Patient, turns: int) -> None:
    """Threads send while others retire the pool: all are answered, and no socket is left."""
    said = {"base_url": patient.base_url, "api_key": SecretStr(KEY), "max_retries": 0}
    with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as registry:
        client: Any = registry.client("acme")

        def work(number: int, turns: int) -> None:
            for _ in range(turns):
                if number % 2:
                    client.models.list()
                pools(client).retire()

        hasty(work, 6, turns)
        assert [] == list(pools(client).users())
        assert patient.left_with(sockets=0)
        assert 0 == len(registry._sockets)
    patient.arrived(3 * turns)


@pytest.mark.parametrize("http", ["httpx", "aiohttp"])
@pytest.mark.parametrize("turns", [20, pytest.param(300, marks=pytest.mark.stress)])
def test_retiring_beside_loops_fails_none(patient: Patient, turns: int, http: str) -> None:
    """Loops send while threads retire their pools: all are answered, and no socket is left."""
    said = {"base_url": patient.base_url, "api_key": SecretStr(KEY), "max_retries": 0, "http": http}
    with ClientRegistry.open({"tenants": {"acme": said}}, environ={}) as registry:
        client: Any = registry.async_client("acme")

        async def send(turns: int) -> None:
            for _ in range(turns):
                await in_parallel(client, 2)
                pools(client).retire()

        def work(number: int, turns: int) -> None:
            if number % 2:
                asyncio.run(send(turns))
                return
            for _ in range(turns):
                pools(client).retire()

        hasty(work, 4, turns)
        assert [] == list(pools(client).users())
        assert patient.left_with(sockets=0)
        registry._sockets.due()
        assert 0 == len(registry._sockets)
    patient.arrived(4 * turns)
