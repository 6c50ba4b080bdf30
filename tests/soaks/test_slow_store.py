"""A store that hangs costs nobody a wait while a secret is held."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from tenantry import ClientRegistry
from tenantry.flight import Flight
from tenantry.freshness import Freshness

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from tests.soaks.conftest import Traffic

    from tenantry.testing import OpenAIServer

LIMIT = 30.0  # seconds after which what does not happen fails its test
REQUESTS = 300


def wait_until(true: Callable[[], bool], what: str) -> None:
    """Look again until something is true."""
    end = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < end, f"{what} took longer than {LIMIT:g} s"
        time.sleep(0.005)


def is_stale(registry: ClientRegistry) -> bool:
    return registry.status("acme").credentials[0].freshness is Freshness.STALE


def test_nobody_who_finds_a_stale_secret_waits(
    openai_server: OpenAIServer,
    traffic_of: Callable[[ClientRegistry, list[str]], Traffic],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Threads and tasks are served with what is held, and none of them looks at the flight."""
    openai_server.allow("sk-1")
    hangs, go_on, waits = threading.Event(), threading.Event(), list[str]()

    def store() -> str:
        if hangs.is_set():
            assert go_on.wait(LIMIT)
        return "sk-1"

    def wait(flight: Flight, limit: float) -> None:
        waits.append(threading.current_thread().name)

    async def await_(flight: Flight, limit: float) -> None:
        waits.append(threading.current_thread().name)

    tenant = {
        "base_url": openai_server.base_url,
        "api_key": {"python": {"call": store}},
        "refresh": {"every": 0.1},
        "max_retries": 0,
    }
    with ClientRegistry.open({"tenants": {"acme": tenant}}) as registry:
        registry.client("acme").models.list()
        hangs.set()
        wait_until(lambda: is_stale(registry), "becoming stale")
        monkeypatch.setattr(Flight, "wait", wait)
        monkeypatch.setattr(Flight, "await_", await_)
        with traffic_of(registry, ["acme"]) as traffic:
            wait_until(lambda: sum(traffic.sent.values()) > REQUESTS, "the traffic")
        assert is_stale(registry)
        go_on.set()
    assert ([], [], []) == (waits, traffic.failures, traffic.errors)
