"""How a fake registry's clients are connected: to answers in memory, by no socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from tenantry.clients.connection import Connection
from tenantry.clients.http import httpx
from tenantry.clients.sockets import Sockets
from tenantry.testing.fake.service import Arrival

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from tenantry.clients.pools import OpenPool
    from tenantry.secret import Secret
    from tenantry.settings import TenantSettings
    from tenantry.testing.fake.service import FakeService


class FakeConnection(Connection):
    """Makes what answers one tenant's clients in place of connection pools."""

    def __init__(self, tenant: str, settings: TenantSettings, service: FakeService) -> None:
        super().__init__(settings, {})  # no credential: nothing is opened that would need one
        self._tenant = tenant
        self._service = service

    def check(self) -> None:
        """Look at no certificate."""

    def check_async(self) -> None:
        """Need no package, and look at no certificate."""

    def sync_pool(self, secrets: tuple[Secret, ...]) -> httpx.BaseTransport:
        del secrets
        return httpx.MockTransport(self._respond)

    def async_pool(self, secrets: tuple[Secret, ...]) -> httpx.AsyncBaseTransport:
        del secrets
        return httpx.MockTransport(self._respond)

    def route(self, secrets: tuple[Secret, ...]) -> NoReturn:
        """Refuse to open a socket.

        Raises:
            RuntimeError: always.
        """
        del secrets
        message = "FakeRegistry opens no WebSocket: use tenantry.testing.OpenAIServer for these"
        raise RuntimeError(message)

    def _respond(self, request: httpx.Request) -> httpx.Response:
        headers = [(name.lower(), value) for name, value in request.headers.raw]
        path = request.url.raw_path.partition(b"?")[0].decode("latin-1")
        query = dict(request.url.params.items())
        arrival = Arrival(request.method, path, query, headers, request.content)
        try:
            answer = self._service.answer(self._tenant, arrival)
        except TimeoutError as error:
            raise httpx.ReadTimeout(str(error), request=request) from error
        except ConnectionError as error:
            raise httpx.ConnectError(str(error), request=request) from error
        head = [(b"content-type", answer.content_type), *answer.headers]
        return httpx.Response(
            answer.status, headers=head, stream=_Body(answer.events or (answer.body,))
        )


class _Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that is read when the client reads it, event by event.

    httpx would read a whole one at once and never close it: it would stay in flight.
    """

    def __init__(self, chunks: tuple[bytes, ...]) -> None:
        self._chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._chunks)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


class NoSockets(Sockets):
    """Counts nothing: what answers from memory holds no socket."""

    def grown(self, pool: OpenPool) -> None:
        del pool
