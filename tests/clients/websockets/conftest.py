from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, contextmanager
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tenantry.testing.certificates import CertificateAuthority
from tenantry.testing.openai import OpenAIServer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterator

    from tests.clients.conftest import Acme

    from tenantry.testing.openai import RecordedRequest


class Keys:
    """A source whose secret changes when the test says so; counts how often it is asked."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        return self.secret


class Line:
    """The tenant `acme`, opening WebSockets with clients of one kind."""

    # Every place below a client that opens them over plain http, and what it has to be told.
    places: ClassVar[dict[str, dict[str, str]]] = {
        "realtime": {"model": "gpt-realtime"},
        "responses": {},
        "beta.responses": {},
        "realtime.translations": {"model": "gpt-realtime"},
        "live": {},
        "live.forks": {"session_id": "s1"},
        "live.sideband": {"session_id": "s1"},
    }

    def __init__(self, acme: Acme) -> None:
        self.acme = acme
        self.server = acme.server
        self.is_azure = acme.kind.is_azure
        self.is_async = acme.kind.is_async

    @property
    def address(self) -> str:
        """Where the tenant's WebSockets go."""
        surface = "openai" if self.is_azure else "v1"
        return f"ws://127.0.0.1:{self.server.port}/{surface}"

    def said(self, said: dict[str, Any]) -> dict[str, Any]:
        """Return what the tenant says: on Azure an address, for the SDK would say wss."""
        return {"websocket_base_url": self.address, **said} if self.is_azure else said

    def client(self, **said: Any) -> Any:
        return self.acme.client(**self.said(said))

    @asynccontextmanager
    async def open(self, client: Any, place: str = "realtime", **said: Any) -> AsyncGenerator[Any]:
        """Open a WebSocket, whatever the client is, and close it in the end."""
        resource = self.resource(client, place)
        wanted: dict[str, Any] = dict(self.places.get(place, {"model": "gpt-realtime"}))
        if self.is_azure and place != "realtime":
            wanted["extra_query"] = {"api-version": self.acme.api_version}
        connection = await self.acme.settle(resource.connect(**{**wanted, **said}).enter())
        try:
            yield connection
        finally:
            await self.acme.settle(connection.close())

    async def shake(self, client: Any, place: str = "realtime", **said: Any) -> RecordedRequest:
        """Open and close a WebSocket, and return the handshake as the server received it."""
        async with self.open(client, place, **said):
            return self.server.requests[-1]

    async def hear(self, connection: Any) -> str:
        """Return the type of the next event."""
        kind: str = (await self.acme.settle(connection.recv())).type
        return kind

    @contextmanager
    def over_tls(
        self, authority: CertificateAuthority
    ) -> Generator[tuple[OpenAIServer, dict[str, Any]]]:
        """Give a server that speaks TLS, and what a tenant says that has no other address."""
        with OpenAIServer(keys=[self.acme.key], certificate=authority.server()) as server:
            said = (
                {"azure_endpoint": server.url} if self.is_azure else {"base_url": server.base_url}
            )
            yield server, {**said, "tls": {"ca": str(authority.ca_file)}}

    def rotate(self, keys: Keys) -> None:
        """Revoke the key that clients hold; the source has the newer one."""
        self.server.revoke(self.acme.key)
        self.server.allow(self.acme.newer_key)
        keys.secret = self.acme.newer_key
        self.server.clear()

    def statuses(self) -> list[int]:
        return [request.status for request in self.server.requests]

    @staticmethod
    def resource(client: Any, place: str) -> Any:
        try:
            return attrgetter(place)(client)
        except AttributeError:
            pytest.skip(f"this SDK has no client.{place}")

    @staticmethod
    def in_flight(client: Any) -> int:
        return len(client.gate.in_flight)

    @staticmethod
    async def until(condition: Callable[[], bool]) -> None:
        """Wait for what is on its way; the test's time limit ends it."""
        while not condition():  # noqa: ASYNC110  # what ends it knows no event
            await asyncio.sleep(0.005)


class Elsewhere:
    """An address that nobody may even connect to."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.address = f"127.0.0.1:{listener.getsockname()[1]}"

    @property
    def reached(self) -> bool:
        try:
            self._listener.accept()[0].close()
        except BlockingIOError:
            return False
        return True


@pytest.fixture
def line(acme: Acme) -> Line:
    return Line(acme)


@pytest.fixture
def keys(acme: Acme) -> Keys:
    return Keys(acme.key)


@pytest.fixture
def nowhere() -> Iterator[Elsewhere]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield Elsewhere(listener)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    return CertificateAuthority(tmp_path_factory.mktemp("websockets"))
