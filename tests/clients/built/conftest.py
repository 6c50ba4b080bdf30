"""A registry of three tenants, whose clients are built on a clock that the test sets."""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from tenantry import ClientRegistry
from tenantry.clients import built as built_clients
from tenantry.events import ClientEvicted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.clients.conftest import Patient

    from tenantry.clients import EndpointClients
    from tenantry.clients.built import BuiltClients
    from tenantry.events import Event

KEY = "sk-acme-0123456789"
LIMIT = 10.0  # seconds after which a test that hangs fails


class Clock:
    """Time since the process began, and what the test adds to it."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead


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


def of(estate: Estate, name: str) -> EndpointClients:
    """Make an endpoint that nobody has yet."""
    return estate.registry._build(name, None)


async def listed(client: Any) -> object:
    return await client.models.list()
