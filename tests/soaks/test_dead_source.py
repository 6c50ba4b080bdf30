"""A dead source with 1,000 references is asked once per pause, and disturbs no other."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tenantry import ClientRegistry
from tenantry.breaker import PROBE_EVERY
from tenantry.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.soaks.conftest import Traffic

    from tenantry.testing import OpenAIServer

LIMIT = 30.0  # seconds after which what does not happen fails its test
REFERENCES = 1000


class DeadServer:
    """Something that takes connections, counts them, and hangs up without an answer."""

    def __init__(self) -> None:
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._closing = False
        self._thread = threading.Thread(target=self._hang_up)
        self._thread.start()

    def close(self) -> None:
        self._closing = True
        with socket.create_connection(("127.0.0.1", self.port)):
            self._thread.join(LIMIT)
        self._listener.close()

    def _hang_up(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            connection.close()
            if self._closing:
                return
            self.connections += 1


@pytest.fixture
def dead() -> Iterator[DeadServer]:
    made = DeadServer()
    yield made
    made.close()


@pytest.mark.parametrize(
    "seconds",
    [pytest.param(4.0, id="short"), pytest.param(25.0, id="long", marks=pytest.mark.stress)],
)
def test_a_dead_source_is_asked_once_per_pause(
    dead: DeadServer,
    openai_server: OpenAIServer,
    traffic_of: Callable[[ClientRegistry, list[str]], Traffic],
    seconds: float,
) -> None:
    """Requests fail at once with its error, and those of another source are all answered."""
    openai_server.allow("sk-1")
    names = [f"dead-{number}" for number in range(REFERENCES)]
    vault = {
        "address": f"http://127.0.0.1:{dead.port}",
        "auth": {"userpass": {"username": "soak", "password": {"literal": "made-up"}}},
    }
    living = {"base_url": openai_server.base_url, "max_retries": 0}
    config = {
        "sources": {"vault": vault},
        "tenants": {
            **{name: {**living, "api_key": {"vault": name}} for name in names},
            "living": {**living, "api_key": {"python": {"call": lambda: "sk-1"}}},
        },
    }
    with ClientRegistry.open(config) as registry:
        began = time.monotonic()
        with traffic_of(registry, names) as failing, traffic_of(registry, ["living"]) as answered:
            time.sleep(seconds)
        elapsed = time.monotonic() - began
    failed = sum(failing.sent.values())
    numbers = f"{failed} failed, {sum(answered.sent.values())} answered"
    print(f"\n{elapsed:.1f} s, {numbers}, {dead.connections} connections")  # noqa: T201  # with -s
    assert 1 <= dead.connections <= elapsed / PROBE_EVERY + 1
    assert (failed, []) == (len(failing.errors), failing.failures)
    assert {SourceError} == {type(error.__cause__) for error in failing.errors}
    assert all(0 <= error.retry_after <= 2 * PROBE_EVERY for error in failing.errors)
    assert ([], []) == (answered.failures, answered.errors)
    assert sum(answered.sent.values()) == openai_server.count(status=200)
