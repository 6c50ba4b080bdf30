"""The SDK clients of one endpoint of one tenant."""

from __future__ import annotations

import threading
import weakref
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from tenantry.clients.boundary import Boundary
from tenantry.clients.clones import Clones
from tenantry.clients.connection import Connection
from tenantry.clients.gate import Gate
from tenantry.clients.options import azure_arguments, openai_arguments
from tenantry.clients.sealed import (
    SealedAsyncAzureOpenAI,
    SealedAsyncOpenAI,
    SealedAzureOpenAI,
    SealedOpenAI,
)
from tenantry.clients.slots import ADMIN_API_KEY, API_KEY, HEADERS, QUERY, Slot
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


# The tenant, or with an endpoint both: what is asked for most is found by a string alone.
Key: TypeAlias = "str | tuple[str, str]"


def key_of(tenant: str, endpoint: str | None) -> Key:
    """Return what the clients of a tenant's endpoint are found by."""
    return tenant if endpoint is None else (tenant, endpoint)


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
            tenant,
            _slots(settings, credentials),
            events,
            endpoint=endpoint,
            webhook=credentials.get("webhook_secret"),
        )
        address = settings.azure_endpoint or settings.base_url
        if address is not None:
            self.gate.boundary = Boundary.at(address)
        self._events = events
        self._sockets = sockets
        self.connection = Connection(settings, credentials)
        # Read without a lock; None until somebody asks, and once the registry let go of them.
        self.sync_client: OpenAI | None = None
        self.async_client: AsyncOpenAI | None = None
        self._clones: dict[str, Clones[OpenAI | AsyncOpenAI]] = {}
        self._released = False
        self._http: dict[str, weakref.ref[SealedHttpClient | AsyncSealedHttpClient]] = {}
        self._building = threading.Lock()  # guards writes to the clients
        survives_fork(self)

    def after_fork(self) -> None:
        """Take a new lock, and leave the parent's requests and sockets alone."""
        self._building = threading.Lock()
        self.gate.in_flight.clear()
        for http in self._in_use():
            http.connections.after_fork()

    @property
    def key(self) -> Key:
        """What they are found by."""
        return key_of(self.tenant, self.endpoint or None)

    def sync(self) -> OpenAI:
        """Return the sync client, built on first use."""
        with self._building:
            client = self.sync_client
            if client is None:
                client = self.sync_client = self._build_sync()
            if self._released:  # while it was built: only who asked for it may hold it
                self.sync_client = None
        return client

    def async_(self) -> AsyncOpenAI:
        """Return the async client, built on first use."""
        with self._building:
            client = self.async_client
            if client is None:
                client = self.async_client = self._build_async()
            if self._released:
                self.async_client = None
        return client

    def sync_clone(self, options: Mapping[str, Any]) -> OpenAI:
        """Return the sync client's clone with these options.

        Raises:
            OptionNotAllowedError: naming the option and those that are allowed.
        """
        clones = self._clones.get(SYNC) or self._clones_of(SYNC, self.sync_client or self.sync())
        return cast("OpenAI", clones.get(options))

    def async_clone(self, options: Mapping[str, Any]) -> AsyncOpenAI:
        """Return the async client's clone with these options; see `sync_clone`."""
        clones = self._clones.get(ASYNC) or self._clones_of(
            ASYNC, self.async_client or self.async_()
        )
        return cast("AsyncOpenAI", clones.get(options))

    @property
    def built(self) -> tuple[str, ...]:
        """The classes of the clients that were built."""
        return tuple(type(client).__name__ for client in self._shared())

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
        held = self._shared()
        self.sync_client = self.async_client = None
        self._clones.clear()
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

    def _shared(self) -> list[OpenAI | AsyncOpenAI]:
        """Return the clients that the registry hands out."""
        both = (self.sync_client, self.async_client)
        return [client for client in both if client is not None]

    def _clones_of(self, kind: str, client: OpenAI | AsyncOpenAI) -> Clones[OpenAI | AsyncOpenAI]:
        clones = self._clones.setdefault(kind, Clones(client, self._building))
        if self._released:
            self._clones.clear()
        return clones

    def _build_sync(self) -> OpenAI:
        self.connection.check()
        transport = SyncTransport(self.gate, self.connection, self._sockets)
        http = SealedHttpClient(self.gate, transport)
        self._http[SYNC] = weakref.ref(http)
        http.endpoint = self
        if self.settings.provider == "azure":
            arguments = azure_arguments(self.settings, self.gate, self.gate.ask)
            return self._built(SealedAzureOpenAI(**arguments, http_client=http))
        arguments = openai_arguments(self.settings, self.gate)
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
        arguments = openai_arguments(self.settings, self.gate)
        return self._built(SealedAsyncOpenAI(**arguments, http_client=http))

    def _built(self, client: Client) -> Client:
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
