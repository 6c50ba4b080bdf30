"""The SDK clients of one endpoint of one tenant."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tenantry.clients.boundary import Boundary
from tenantry.clients.gate import ADMIN_API_KEY, API_KEY, HEADERS, QUERY, Gate, Slot
from tenantry.clients.http import httpx, limits, ssl_context
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
    async_pool,
    sync_pool,
)
from tenantry.events import ClientBuilt, EventStream
from tenantry.pool import Pool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, MutableMapping

    from openai import AsyncOpenAI, OpenAI

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
            self.gate.boundary = Boundary.of(httpx.URL(address))
        self._events = events
        self._clients: Pool[str, OpenAI | AsyncOpenAI] = Pool()
        self._http: MutableMapping[str, SealedHttpClient | AsyncSealedHttpClient] = {}

    def sync(self) -> OpenAI:
        built = self._clients.built.get(SYNC)
        return cast("OpenAI", built or self._clients.get(SYNC, self._build_sync))

    def async_(self) -> AsyncOpenAI:
        built = self._clients.built.get(ASYNC)
        return cast("AsyncOpenAI", built or self._clients.get(ASYNC, self._build_async))

    @property
    def built(self) -> tuple[str, ...]:
        """The classes of the clients that were built."""
        return tuple(type(client).__name__ for client in list(self._clients.built.values()))

    @property
    def held(self) -> bool:
        """Whether a client is still in use, by the registry or by who was handed one."""
        return bool(self._http)

    def release(self) -> None:
        """Let go of the clients: they live on as long as somebody else holds them."""
        self._http = weakref.WeakValueDictionary(self._http)
        self._clients.clear()

    def shut(self, reason: Callable[[], TenantryError]) -> None:
        """Let no new request through; what is in flight finishes."""
        self.gate.shut = reason

    def dispose(self) -> None:
        """Close all connections; those of other event loops without waiting."""
        for http in list(self._http.values()):
            http.dispose()

    async def adispose(self) -> None:
        """Close all connections, and wait for those of the running loop."""
        for http in list(self._http.values()):
            if isinstance(http, AsyncSealedHttpClient):
                await http.adispose()
            else:
                http.dispose()

    def _build_sync(self) -> OpenAI:
        make = sync_pool(*self._connection())
        http = SealedHttpClient(self.gate, SyncTransport(self.gate, make))
        self._http[SYNC] = http
        if self.settings.provider == "azure":
            arguments = azure_arguments(self.settings, self.gate, self.gate.ask)
            return self._built(SealedAzureOpenAI(**arguments, http_client=http))
        arguments = openai_arguments(self.settings, self.gate, self.gate.ask)
        return self._built(SealedOpenAI(**arguments, http_client=http))

    def _build_async(self) -> AsyncOpenAI:
        make = async_pool(*self._connection())
        http = AsyncSealedHttpClient(self.gate, AsyncTransport(self.gate, make))
        self._http[ASYNC] = http
        if self.settings.provider == "azure":
            arguments = azure_arguments(self.settings, self.gate, self.gate.aask)
            return self._built(SealedAsyncAzureOpenAI(**arguments, http_client=http))
        arguments = openai_arguments(self.settings, self.gate, self.gate.aask)
        return self._built(SealedAsyncOpenAI(**arguments, http_client=http))

    def _connection(self) -> tuple[Any, httpx.Limits, str | None]:
        proxy = None if self.settings.proxy is None else self.settings.proxy.url
        return ssl_context(self.settings.tls), limits(self.settings.pool), proxy

    def _built(self, client: Client) -> Client:
        if self._events.wanted:
            self._events.publish(ClientBuilt(self.tenant, self.endpoint, type(client).__name__))
        return client


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
