"""Where tenants become clients, and clones are handed out."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tenantry import warming
from tenantry.catalog import Catalog, MemoryCatalog
from tenantry.clients import EndpointClients, checked
from tenantry.context import current_tenant
from tenantry.errors import (
    RegistryClosedError,
    TenantDisabledError,
    UnknownEndpointError,
)
from tenantry.events import ClientEvicted, EventStream, TenantQuarantined
from tenantry.loading import explain, load
from tenantry.pool import Pool
from tenantry.secrets import Secrets
from tenantry.sources import kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from openai import AsyncOpenAI, OpenAI
    from typing_extensions import Unpack

    from tenantry.clients import ClientOptions
    from tenantry.credential import Credential, CredentialStatus
    from tenantry.errors import Problem, TenantryError
    from tenantry.events import Hook
    from tenantry.loading import Config, Setting, Tenant
    from tenantry.settings import RegistrySettings, TenantSettings

log = logging.getLogger("tenantry")

DEFAULT_FILE = Path("config/tenants.yaml")
CONFIG_VARIABLE = "TENANTRY_CONFIG"


@dataclass(frozen=True, slots=True)
class TenantStatus:
    """What the registry knows of one tenant. Holds no secret.

    `clients` are the classes of the clients that were built, `problems` what keeps it in
    quarantine.
    """

    name: str
    provider: str
    enabled: bool
    base_url: str
    clients: tuple[str, ...]
    credentials: tuple[CredentialStatus, ...]
    problems: tuple[Problem, ...]


class ClientRegistry:
    """All tenants of one process, and their OpenAI clients; lives as long as the process.

    Make it with `open`, end it with `close` or a `with` block. Safe to use from threads and event
    loops, and in children that are forked from the process.
    """

    def __init__(self, catalog: Catalog, secrets: Secrets, events: EventStream) -> None:
        self.catalog = catalog
        self._secrets = secrets
        self._events = events
        self._closed = False
        self._clients: Pool[tuple[str | None, str | None], EndpointClients] = Pool()
        self._superseded: list[EndpointClients] = []  # evicted, and perhaps still held by somebody

    @classmethod
    def open(
        cls,
        config: Config | Catalog | None = None,
        *,
        environ: Mapping[str, str] | None = None,
    ) -> Self:
        """Read a configuration; no network.

        Args:
            config: a file, a directory, several of them, a mapping, a `Settings` or a `Catalog`.
                None takes `TENANTRY_CONFIG`, else `config/tenants.yaml` where that exists, else
                the environment alone.
            environ: the one environment for `${NAME}`, `TENANTRY_...`, `{env: NAME}` and
                `inherit_environment`; `os.environ` by default.

        Raises:
            ConfigError: with every problem of the configuration.
        """
        environ = os.environ if environ is None else environ
        table = kinds()
        given = config if isinstance(config, Catalog) else None
        said: Config | None = None if isinstance(config, Catalog) else config
        if said is None:
            said = _default_config(environ)
        configuration = load(said, environ=environ, kinds=table, tenants_needed=given is None)
        events = EventStream()
        secrets = Secrets(configuration.sources, table, environ, events)
        catalog = given or MemoryCatalog(configuration.tenants, configuration.quarantined)
        registry = cls(catalog, secrets, events)
        registry._warm_at_open(configuration.registry)
        return registry

    # -- clients ----------------------------------------------------------------------------------

    def client(
        self,
        tenant: str | None = None,
        *,
        endpoint: str | None = None,
        **options: Unpack[ClientOptions],
    ) -> OpenAI:
        """Return the tenant's `openai.OpenAI` (for Azure an `AzureOpenAI`, which is one).

        It is built on first use and shared from then on; with options, a `with_options` clone that
        shares its connections. No network.

        Args:
            tenant: the tenant's name; None is the current tenant, see `use_tenant`.
            endpoint: one of the tenant's `endpoints`; None is the tenant's own address.
            **options: see `ClientOptions`; times in seconds.

        Raises:
            TenantryError: `NoCurrentTenantError`, `UnknownTenantError`, `UnknownEndpointError`,
                `TenantDisabledError`, `TenantQuarantinedError`, `OptionNotAllowedError` or
                `RegistryClosedError`.
        """
        clients = self._clients.built.get((tenant, endpoint))
        client = (clients or self._endpoint(tenant, endpoint)).sync()
        if not options:
            return client
        checked(options)
        return client.with_options(**options)

    def async_client(
        self,
        tenant: str | None = None,
        *,
        endpoint: str | None = None,
        **options: Unpack[ClientOptions],
    ) -> AsyncOpenAI:
        """Return the tenant's `openai.AsyncOpenAI`; see `client`. Needs no running loop."""
        clients = self._clients.built.get((tenant, endpoint))
        client = (clients or self._endpoint(tenant, endpoint)).async_()
        if not options:
            return client
        checked(options)
        return client.with_options(**options)

    def evict(self, tenant: str) -> None:
        """Let go of a tenant's clients; who holds one keeps a working one."""
        for name, endpoint in self._clients:
            if name == tenant:
                clients = self._clients.evict((name, endpoint))
                if clients is not None:
                    self._let_go(clients)

    def _let_go(self, clients: EndpointClients) -> None:
        for kind in clients.built:
            self._events.publish(ClientEvicted(clients.tenant, clients.endpoint, kind))
        clients.release()
        still_held = [each for each in self._superseded if each.held]
        self._superseded = [*still_held, clients]

    # -- knowing ----------------------------------------------------------------------------------

    @property
    def tenants(self) -> Collection[str]:
        """The names of all tenants: `in`, `len` and iteration."""
        return self.catalog.names()

    def status(self, tenant: str) -> TenantStatus:
        """Return what is known of a tenant; reads no secret and asks nobody.

        Raises:
            UnknownTenantError: nobody has that name.
        """
        problems = self.catalog.problems(tenant)
        if problems:
            return TenantStatus(
                tenant, "", enabled=True, base_url="", clients=(), credentials=(), problems=problems
            )
        settings = self.catalog.get(tenant).settings
        built = [each for key, each in list(self._clients.built.items()) if key[0] == tenant]
        return TenantStatus(
            name=tenant,
            provider=settings.provider,
            enabled=settings.enabled,
            base_url=settings.azure_endpoint or settings.base_url or "",
            clients=tuple(kind for each in built for kind in each.built),
            credentials=tuple(
                credential.status()
                for credential in self._secrets.credentials(tenant, settings).values()
            ),
            problems=(),
        )

    def explain(self, tenant: str, *, endpoint: str | None = None) -> tuple[Setting, ...]:
        """Return every setting of a tenant: its name, its value without secrets, its origin."""
        found = self.catalog.get(tenant)
        self._settings(found, endpoint)
        return explain(found, endpoint or "")

    def subscribe(self, hook: Hook) -> Callable[[], None]:
        """Send every event to `hook`, on a thread of its own; returns what ends it."""
        unsubscribe = self._events.subscribe(hook)
        for name in self.catalog.names():
            if problems := self.catalog.problems(name):
                self._events.publish(TenantQuarantined(name, problems))
        return unsubscribe

    # -- secrets ----------------------------------------------------------------------------------

    def refresh(self, tenant: str, *, drop_previous: bool = False) -> None:
        """Fetch the tenant's credentials now, those of its endpoints too, past any back-off.

        With `drop_previous`, for a key that was compromised, nothing older serves again.

        Raises:
            CredentialUnavailableError: where one could not be fetched, with its cause.
        """
        for credential in self._documents(tenant):
            credential.refresh(drop_previous=drop_previous)

    async def arefresh(self, tenant: str, *, drop_previous: bool = False) -> None:
        """Do what `refresh` does, without holding up the event loop."""
        for credential in self._documents(tenant):
            await credential.arefresh(drop_previous=drop_previous)

    def warm(
        self,
        tenants: Iterable[str] | None = None,
        *,
        concurrency: int = 8,
        timeout: float = 30.0,
    ) -> dict[str, TenantryError | None]:
        """Fetch what tenants need before a request wants it.

        Args:
            tenants: their names; all by default.
            concurrency: how many at a time.
            timeout: seconds for all of them.

        Returns:
            What went wrong, or None, by the tenant's name. Nothing is raised for a tenant.
        """
        names = self.tenants if tenants is None else tenants
        return warming.warm(names, self._documents, concurrency=concurrency, timeout=timeout)

    async def awarm(
        self,
        tenants: Iterable[str] | None = None,
        *,
        concurrency: int = 8,
        timeout: float = 30.0,  # noqa: ASYNC109  # the pair of `warm`; each tenant has its outcome
    ) -> dict[str, TenantryError | None]:
        """Do what `warm` does, without holding up the event loop."""
        names = self.tenants if tenants is None else tenants
        return await warming.awarm(names, self._documents, concurrency=concurrency, limit=timeout)

    # -- the end ----------------------------------------------------------------------------------

    def close(self) -> None:
        """Shut all gates and close all connections; closing twice is harmless.

        Connections of event loops that run elsewhere are closed there, without waiting.
        """
        for clients in self._shut():
            clients.dispose()
        self._end()

    async def aclose(self) -> None:
        """Do what `close` does, and wait for the connections of the running loop."""
        for clients in self._shut():
            await clients.adispose()
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self.tenants)} tenants"
        return f"<ClientRegistry {state}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # Containers copy what they are given; a registry is shared, not copied.
        return self

    # -- within -----------------------------------------------------------------------------------

    def _endpoint(self, tenant: str | None, endpoint: str | None) -> EndpointClients:
        name = current_tenant() if tenant is None else tenant
        clients = self._clients.get((name, endpoint), lambda: self._build(name, endpoint))
        if self._closed:  # while they were built
            self._clients.evict((name, endpoint))
            clients.shut(RegistryClosedError)
            raise RegistryClosedError
        return clients

    def _build(self, name: str, endpoint: str | None) -> EndpointClients:
        if self._closed:
            raise RegistryClosedError
        tenant = self.catalog.get(name)
        if not tenant.settings.enabled:
            raise TenantDisabledError(name)
        settings = self._settings(tenant, endpoint)
        credentials = self._secrets.credentials(name, settings)
        if settings.rotated_at is not None:
            for credential in credentials.values():
                credential.outdate(settings.rotated_at)
        return EndpointClients(name, endpoint or "", settings, credentials, self._events)

    def _settings(self, tenant: Tenant, endpoint: str | None) -> TenantSettings:
        if endpoint is None:
            return tenant.settings
        if endpoint not in tenant.endpoints:
            raise UnknownEndpointError(tenant.name, endpoint, tuple(tenant.endpoints))
        return tenant.endpoints[endpoint]

    def _documents(self, name: str) -> list[Credential]:
        """Return one credential for each document that a tenant or an endpoint of it needs."""
        if self._closed:
            raise RegistryClosedError
        tenant = self.catalog.get(name)
        found = {
            id(credential.keeper): credential
            for settings in (tenant.settings, *tenant.endpoints.values())
            for credential in self._secrets.credentials(name, settings).values()
        }
        return list(found.values())

    def _warm_at_open(self, how: RegistrySettings) -> None:
        """Fetch what the configuration wants fetched at once, and say what cannot be.

        Raises:
            TenantryError: the first that was found, with `on_problem: fail`.
        """
        if how.warm == "none":
            return
        find = self._documents if how.warm == "all" else self._local_documents
        served = [name for name in self.tenants if not self.catalog.problems(name)]
        documents = {name: find(name) for name in served}
        for found in documents.values():
            for credential in found:
                credential.prefetch()  # all at once, so that the waits below are one wait
        outcome = warming.warm(served, documents.__getitem__, concurrency=1, timeout=30.0)
        for error in filter(None, outcome.values()):
            if how.on_problem == "fail":
                raise error
            log.warning("tenantry: %s", error)

    def _local_documents(self, name: str) -> list[Credential]:
        return [each for each in self._documents(name) if self._secrets.is_local(each)]

    def _shut(self) -> list[EndpointClients]:
        self._closed = True
        everyone = [*self._clients.clear(), *self._superseded]
        self._superseded = []
        for clients in everyone:
            clients.shut(RegistryClosedError)
        return everyone

    def _end(self) -> None:
        self._secrets.close()
        self._events.close()


def _default_config(environ: Mapping[str, str]) -> Config | None:
    said = environ.get(CONFIG_VARIABLE)
    if said:
        return said.split(os.pathsep)
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None
