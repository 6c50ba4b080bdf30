"""The SDK clients of one endpoint of one tenant."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tenantry.clients.boundary import Boundary
from tenantry.clients.connection import Connection
from tenantry.clients.gate import ADMIN_API_KEY, API_KEY, HEADERS, QUERY, Gate, Slot
from tenantry.clients.options import azure_arguments, openai_arguments
from tenantry.clients.sealed import (
    SealedAsyncAzureOpenAI,
    SealedAsyncOpenAI,
    SealedAzureOpenAI,
    SealedOpenAI,
)
from tenantry.clients.transport import (
    AsyncSealedHttpClient,
    AsyncTransport,
    SealedHttpClient,
    SyncTransport,
)
from tenantry.events import ClientBuilt, EventStream
from tenantry.forks import survives_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from openai import AsyncOpenAI, OpenAI

    from tenantry.clients.sockets import Sockets
    from tenantry.credential import Credential
    from tenantry.errors import TenantryError
    from tenantry.settings import TenantSettings

Client = TypeVar("Client")

SYNC = "sync"
ASYNC = "async"


class EndpointClients:
    """One sync and one async client behind one gate, each built on first use.

    Lives until its tenant's settings change or the registry closes.
    """

    def __init__(
        self,
        tenant: str,
        endpoint: str,
        settings: TenantSettings,
        credentials: Mapping[str, Credential],
        events: EventStream,
        sockets: Sockets,
    ) -> None:
        self.tenant = tenant
        self.endpoint = endpoint
        self.settings = settings
        self.credentials = credentials
        self.gate = Gate(
            tenant, _slots(settings, credentials), events, webhook=credentials.get("webhook_secret")
        )
        address = settings.azure_endpoint or settings.base_url
        if address is not None:
            self.gate.boundary = Boundary.at(address)
        self._events = events
        self._sockets = sockets
        self.connection = Connection(settings, credentials)
        self._clients: dict[str, OpenAI | AsyncOpenAI] = {}
        self._released = False
        self._http: dict[str, weakref.ref[SealedHttpClient | AsyncSealedHttpClient]] = {}
        self._building = threading.Lock()  # guards writes to _clients
        survives_fork(self)

    def after_fork(self) -> None:
        """Take a new lock, and leave the parent's requests and sockets alone."""
        self._building = threading.Lock()
        self.gate.in_flight.clear()
        for http in self._in_use():
            http.connections.after_fork()

    @property
    def key(self) -> tuple[str, str | None]:
        """The tenant and the endpoint, as callers say them."""
        return self.tenant, self.endpoint or None

    def sync(self) -> OpenAI:
        built = self._clients.get(SYNC)
        return cast("OpenAI", built or self._shared(SYNC, self._build_sync))

    def async_(self) -> AsyncOpenAI:
        built = self._clients.get(ASYNC)
        return cast("AsyncOpenAI", built or self._shared(ASYNC, self._build_async))

    @property
    def built(self) -> tuple[str, ...]:
        """The classes of the clients that were built."""
        return tuple(type(client).__name__ for client in list(self._clients.values()))

    @property
    def kinds_held(self) -> tuple[str, ...]:
        """The kinds of the clients that are still in use."""
        return tuple(kind for kind, http in self._http.copy().items() if http() is not None)

    @property
    def held(self) -> bool:
        """Whether a client is still in use, by the registry or by who was handed one."""
        return bool(self.kinds_held)

    def serves(self, settings: TenantSettings) -> bool:
        """Whether clients with these settings would be the same as those that were built."""
        return self.settings is settings or _of_clients(self.settings) == _of_clients(settings)

    def in_flight(self) -> int:
        """How many requests passed the gate and are not over, body and all; and open WebSockets."""
        passing = set(self.gate.in_flight)  # first: they go from here to there
        return len(passing.union(*(http.connections.users() for http in self._in_use())))

    def release(self) -> list[OpenAI | AsyncOpenAI]:
        """Let go of the clients, and return them: they live on as long as somebody holds them.

        Idle connections are closed; those in use when they are done.
        """
        self._released = True  # without the lock: nobody waits for who is just building
        held = list(self._clients.copy().values())
        self._clients.clear()
        for http in self._in_use():
            http.connections.retire()
        return held

    def shut(self, reason: Callable[[], TenantryError]) -> None:
        """Let no new request through; what is in flight finishes."""
        self.gate.shut = reason

    def reopen(self) -> None:
        """Let requests through again."""
        self.gate.shut = None

    def dispose(self) -> None:
        """Close all connections; those of other event loops without waiting."""
        for http in self._in_use():
            http.connections.dispose()

    async def adispose(self) -> None:
        """Close all connections, and wait for those of the running loop."""
        for http in self._in_use():
            if isinstance(http, AsyncSealedHttpClient):
                await http.connections.adispose()
            else:
                http.connections.dispose()

    def _in_use(self) -> list[SealedHttpClient | AsyncSealedHttpClient]:
        found = (http() for http in list(self._http.values()))
        return [http for http in found if http is not None]

    def _shared(self, kind: str, build: Callable[[], OpenAI | AsyncOpenAI]) -> OpenAI | AsyncOpenAI:
        with self._building:
            client = self._clients.get(kind)
            if client is None:
                client = self._clients[kind] = build()
            if self._released:  # while it was built: only who asked for it may hold it
                self._clients.clear()
            return client

    def _build_sync(self) -> OpenAI:
        self.connection.check()
        transport = SyncTransport(self.gate, self.connection, self._sockets)
        http = SealedHttpClient(self.gate, transport)
        self._http[SYNC] = weakref.ref(http)
        http.endpoint = self
        if self.settings.provider == "azure":
            arguments = azure_arguments(self.settings, self.gate, self.gate.ask)
            return self._built(SealedAzureOpenAI(**arguments, http_client=http))
        arguments = openai_arguments(self.settings, self.gate, self.gate.ask)
        return self._built(SealedOpenAI(**arguments, http_client=http))

    def _build_async(self) -> AsyncOpenAI:
        self.connection.check_async()
        transport = AsyncTransport(self.gate, self.connection, self._sockets)
        http = AsyncSealedHttpClient(self.gate, transport)
        self._http[ASYNC] = weakref.ref(http)
        http.endpoint = self
        if self.settings.provider == "azure":
            arguments = azure_arguments(self.settings, self.gate, self.gate.aask)
            return self._built(SealedAsyncAzureOpenAI(**arguments, http_client=http))
        arguments = openai_arguments(self.settings, self.gate, self.gate.aask)
        return self._built(SealedAsyncOpenAI(**arguments, http_client=http))

    def _built(self, client: Client) -> Client:
        if self._events.wanted:
            self._events.publish(ClientBuilt(self.tenant, self.endpoint, type(client).__name__))
        return client


# What may change without the clients noticing.
_NOT_OF_CLIENTS = frozenset({"enabled", "labels", "refresh", "rotated_at"})


def _of_clients(settings: TenantSettings) -> dict[str, Any]:
    return {name: value for name, value in settings if name not in _NOT_OF_CLIENTS}


def _slots(settings: TenantSettings, credentials: Mapping[str, Credential]) -> Iterator[Slot]:
    """Return the places that carry secrets; credentials come by the path of their setting."""
    key = settings.credential_key()
    if key is not None:
        # Azure takes keys in `api-key` and tokens in `Authorization`.
        as_api_key = settings.provider == "azure" and key == "api_key"
        yield Slot(API_KEY, credentials[key], api_key_header=as_api_key)
    if settings.admin_api_key is not None:
        yield Slot(ADMIN_API_KEY, credentials["admin_api_key"])
    for path, credential in credentials.items():
        for group, prefix in (("default_headers.", HEADERS), ("default_query.", QUERY)):
            if path.startswith(group):
                yield Slot(prefix + path.removeprefix(group), credential)
