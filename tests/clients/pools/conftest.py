"""A pool over a transport that counts how often it was closed, and the sockets that it counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tenantry.clients.http import httpx
from tenantry.clients.pools import ThreadPool
from tenantry.clients.sockets import Sockets
from tenantry.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenantry.clients.pools import OpenPool

LIMIT = 10.0  # seconds after which a test that hangs fails
LIMITS = httpx.Limits(max_connections=10, max_keepalive_connections=4, keepalive_expiry=5)


class Transport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Counts how often it was closed."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.close()


@pytest.fixture
def schedule() -> Iterator[Schedule]:
    made = Schedule()
    yield made
    made.close()


@pytest.fixture
def sockets(schedule: Schedule) -> Sockets:
    return Sockets(schedule, 100)


@pytest.fixture
def found() -> set[OpenPool]:
    """The pools that somebody can find."""
    return set()


@pytest.fixture
def transport() -> Transport:
    return Transport()


@pytest.fixture
def pool(transport: Transport, sockets: Sockets, found: set[OpenPool]) -> ThreadPool:
    made = ThreadPool(transport, (), LIMITS, sockets, found.discard)
    found.add(made)
    return made
