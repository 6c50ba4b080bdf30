# No postponed annotations here: FastAPI could not read those of functions inside functions.

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from queue import Queue
from typing import Annotated, Any

import pytest
import requests
import uvicorn
from fastapi import FastAPI, Header

from tenantry import ClientRegistry
from tenantry.testing import OpenAIServer
from tenantry.testing.serving import WEBSOCKET

LIMIT = 30.0


@dataclass(frozen=True)
class Served:
    """An application behind a real server, and how tests speak to it."""

    url: str
    mistakes: Queue[BaseException]

    def get(self, path: str, tenant: str | None = None, **options: Any) -> requests.Response:
        headers = {**options.pop("headers", {}), **({"X-Tenant": tenant} if tenant else {})}
        return requests.get(f"{self.url}{path}", headers=headers, timeout=LIMIT, **options)

    def json(self, path: str, tenant: str | None = None, **options: Any) -> Any:
        reply = self.get(path, tenant, **options)
        assert 200 == reply.status_code, reply.text
        return reply.json()

    def mistake(self, path: str, tenant: str | None = None) -> str:
        """Return what the application raised, of which its user is told nothing."""
        reply = self.get(path, tenant)
        assert (500, "Internal Server Error") == (reply.status_code, reply.text)
        return str(self.mistakes.get(timeout=LIMIT))

    @property
    def websocket_url(self) -> str:
        return f"ws{self.url.removeprefix('http')}"


@contextlib.contextmanager
def served_by_uvicorn(app: FastAPI) -> Iterator[Served]:
    """Serve an application, its lifespan included, until the block ends."""
    mistakes: Queue[BaseException] = Queue()

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        try:
            await app(scope, receive, send)
        except BaseException as error:
            mistakes.put(error)
            raise

    config = uvicorn.Config(
        watched, log_config=None, log_level="critical", lifespan="on", ws=WEBSOCKET, http="h11"
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        deadline = time.monotonic() + LIMIT
        while not server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.005)
        try:
            yield Served(f"http://127.0.0.1:{listener.getsockname()[1]}", mistakes)
        finally:
            server.should_exit = True
            thread.join(LIMIT)


@pytest.fixture
def resolver() -> Callable[..., Any]:
    """Stand in for an application's resolver: a header that tests trust."""

    async def claimed(x_tenant: Annotated[str | None, Header()] = None) -> str | None:
        return x_tenant

    return claimed


@pytest.fixture
def serve() -> Iterator[Callable[[FastAPI], Served]]:
    """Serve applications until the test ends."""
    with contextlib.ExitStack() as stack:
        yield lambda app: stack.enter_context(served_by_uvicorn(app))


@pytest.fixture
def config(openai_server: OpenAIServer) -> dict[str, Any]:
    for name in ("acme", "globex"):
        openai_server.allow(f"sk-{name}", tenant=name)
    base_url = openai_server.base_url
    return {
        "registry": {"warm": "none"},
        "defaults": {"base_url": base_url, "max_retries": 0},
        "tenants": {
            "acme": {
                "api_key": {"literal": "sk-acme"},
                "endpoints": {"eu": {"base_url": base_url, "max_retries": 7}},
            },
            "globex": {"api_key": {"literal": "sk-globex"}},
            "hooli": {"api_key": {"literal": "sk-hooli"}, "enabled": False},
            "initech": {"api_key": {"env": "KEY_INITECH"}},
            "umbrella": {"api_key": {"literal": "sk-umbrella"}, "tmeout": 3},
        },
    }


@pytest.fixture
def registry(config: dict[str, Any]) -> Iterator[ClientRegistry]:
    with ClientRegistry.open(config, environ={}) as registry:
        yield registry
