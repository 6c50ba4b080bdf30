"""A registry over an SQLite file that a test writes to, and a service that answers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from tenantry import ClientRegistry
from tenantry.catalog import LazyCatalog
from tenantry.catalog.engine import Write
from tenantry.catalog.sqlite import SqliteEngine
from tenantry.testing import OpenAIServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from openai import AsyncOpenAI, OpenAI

KEYS = {"KEY": "sk-key-0123456789", "OTHER": "sk-other-0123456789"}
IN_VAULT = ("sk-vault-0", "sk-vault-1")
LIMIT = 10.0  # seconds after which a test that hangs fails


class Estate:
    """A registry over an SQLite file that a test writes to, and a service that answers."""

    def __init__(self, server: OpenAIServer, path: Path) -> None:
        self.server = server
        self.path = path
        self.engine = SqliteEngine(path)
        self.engine.prepare(LIMIT)
        self.put(acme={"max_retries": 1}, globex={})
        self.config: dict[str, Any] = {
            # Nothing is seen before a test polls, unless it says otherwise.
            "catalog": {"sqlite": {"path": str(path), "poll": 3600}},
            "allow": {"secrets": {"env": ["OTHER"]}},
            "defaults": {"base_url": server.base_url, "api_key": {"env": "KEY"}},
        }
        self.opened: list[ClientRegistry] = []

    def open(self, **changed: Any) -> ClientRegistry:
        registry = ClientRegistry.open(self.config | changed, environ=KEYS)
        self.opened.append(registry)
        poll(registry)
        return registry

    def put(self, **tenants: dict[str, Any] | None) -> None:
        self.engine.write([Write(name, said) for name, said in tenants.items()], "test", LIMIT)

    def close(self) -> None:
        for registry in self.opened:
            registry.close()
        self.engine.close()


RUNNING: dict[str, OpenAIServer] = {}  # by their addresses


def catalog_of(registry: ClientRegistry) -> LazyCatalog:
    assert isinstance(registry.catalog, LazyCatalog)
    return registry.catalog


def poll(registry: ClientRegistry) -> None:
    catalog_of(registry).poll()


def send(client: OpenAI) -> str | None:
    """Send a request; returns the key that it bore."""
    client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": "hi"}])
    return RUNNING[str(client.base_url).rstrip("/")].requests[-1].key


async def asend(client: AsyncOpenAI) -> None:
    await client.chat.completions.create(
        model="gpt-5", messages=[{"role": "user", "content": "hi"}]
    )


@pytest.fixture(scope="module")
def running() -> Iterator[OpenAIServer]:
    with OpenAIServer(keys=[*KEYS.values(), *IN_VAULT]) as server:
        RUNNING[server.base_url] = server
        yield server


@pytest.fixture
def server(running: OpenAIServer) -> OpenAIServer:
    running.clear()
    return running


@pytest.fixture
def estate(server: OpenAIServer, tmp_path: Path) -> Iterator[Estate]:
    made = Estate(server, tmp_path / "tenants.db")
    yield made
    made.close()


@pytest.fixture
def registry(estate: Estate) -> ClientRegistry:
    return estate.open()


def soon(holds: Any) -> bool:
    """Say whether something holds within the limit."""
    deadline = time.monotonic() + LIMIT
    while not (found := holds()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return bool(found)
