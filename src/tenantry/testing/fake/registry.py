"""`FakeRegistry`: a `ClientRegistry` whose clients are real and whose service is the test's own."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from tenantry.catalog import Catalog, MemoryCatalog
from tenantry.errors import (
    ConfigError,
    TenantNotLoadedError,
    TenantQuarantinedError,
    UnknownTenantError,
)
from tenantry.events import EventStream
from tenantry.loading import load
from tenantry.opening import Opening
from tenantry.registry import ClientRegistry
from tenantry.secrets import Secrets
from tenantry.testing.fake.clock import FrozenClock, FrozenSchedule, SettlingRefresher
from tenantry.testing.fake.connection import FakeConnection, NoSockets
from tenantry.testing.fake.keys import FakeKeys
from tenantry.testing.fake.service import FakeService
from tenantry.testing.openai.answers import Answer, encode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tenantry.clients import EndpointClients
    from tenantry.loading import Config, Configuration, Contents, Tenant
    from tenantry.registry import Find
    from tenantry.settings import SecretReference
    from tenantry.testing.fake.service import Fault, SentRequest


class FakeRegistry(ClientRegistry):
    """A registry for tests: the SDK's real clients, sealed, and no server, network or secret.

    Every answer comes from memory, every key is made up, and time stands still until `advance`.
    Safe to use from threads and event loops.

    Example:
        with FakeRegistry("acme", "globex") as registry:
            registry.reply("acme", "Hello")
            service = Summaries(registry)
    """

    def __init__(
        self,
        *tenants: str,
        config: Config | Catalog | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """Make a registry of some tenants, of a configuration, or of whoever is asked for.

        Args:
            *tenants: their names; nobody else is known. Without any, every name is a tenant.
            config: a configuration of your own, in place of names: it is read as `open` reads it,
                and whatever its references point at is made up.
            environ: the environment for `config`; an empty one by default.
        """
        lock, told = threading.RLock(), environ or {}
        self._time = FrozenClock()
        self._refresher = SettlingRefresher(FrozenSchedule(self._time))
        self._service = FakeService(lock)
        self._keys = FakeKeys(lock, self._service.keys)
        kinds = self._keys.kinds()
        said = _of_names(tenants) if config is None or isinstance(config, Catalog) else config

        def read(contents: Contents | None = None) -> Configuration:
            return load(said, environ=told, kinds=kinds, tenants_needed=False, contents=contents)

        configuration, events = read(), EventStream()
        secrets = Secrets(configuration.sources, kinds, told, events, self._refresher)
        if isinstance(config, Catalog):
            catalog = config
        else:
            made = MemoryCatalog if tenants or config is not None else _OnDemand
            catalog = made(configuration.tenants, configuration.quarantined, configuration.rows)
        super().__init__(catalog, secrets, events, read, configuration.registry)
        self._clients.clock = self._time
        self._sockets = NoSockets(secrets.schedule)

    @classmethod
    def open(
        cls,
        config: Config | Catalog | None = None,
        *,
        environ: Mapping[str, str] | None = None,
    ) -> Self:
        """Read a configuration as `ClientRegistry.open` does, and ask none of its sources."""
        told = os.environ if environ is None else environ
        found = config if isinstance(config, Catalog) else Opening(config, told, {}).config
        return cls(config=found if found is not None else {}, environ=told)

    # -- what tenants are answered ----------------------------------------------------------------

    def reply(self, tenant: str, *texts: str) -> None:
        """Say what a tenant's chat completions and responses are answered with, streamed or not.

        Of several texts each is said once, in turn; the last one is said from then on.

        Raises:
            UnknownTenantError: there is no such tenant; so do all that take a tenant's name.
            ValueError: no text is given.
        """
        if not texts:
            message = "reply() takes at least one text"
            raise ValueError(message)
        self._service.say(self._known(tenant), texts)

    def reply_json(
        self, tenant: str, path: str, body: Mapping[str, Any], *, status: int = 200
    ) -> None:
        """Say what a tenant's requests are answered with whose path ends like `path`."""
        self._service.give(self._known(tenant), path, Answer(status, encode(body)))

    def fail_next(
        self,
        tenant: str,
        fault: Fault,
        *,
        times: int = 1,
        retry_after: float | None = None,
        path: str = "",
    ) -> None:
        """Let a tenant's next requests fail; calls add up, and the first that fits is used.

        The SDK tries some again, and does not wait before it does, but for connection errors.

        Args:
            tenant: its name.
            fault: a status from 400 to 599, `ConnectionError` or `TimeoutError`.
            times: how many requests.
            retry_after: seconds, sent as Retry-After.
            path: only requests whose path ends like this.

        Raises:
            ValueError: the status is not an error, or `times` is none.
        """
        known = self._known(tenant)
        self._service.fail(known, fault, times=times, retry_after=retry_after, path=path)

    # -- what tenants sent ------------------------------------------------------------------------

    def sent(self, tenant: str | None = None) -> tuple[SentRequest, ...]:
        """Return what a tenant's clients sent, or everybody's, in order; a retry is one more."""
        return self._service.sent(None if tenant is None else self._known(tenant))

    def forget_sent(self) -> None:
        """Begin anew to keep what is sent."""
        self._service.clear()

    # -- keys -------------------------------------------------------------------------------------

    def rotate_now(self, tenant: str, *, revoke: bool = True) -> None:
        """Publish another version of all that a tenant's references point at.

        The service refuses the version of before from now on; with `revoke=False` it takes both.
        """
        for reference in self._references(tenant):
            self._keys.rotate(reference, revoke=revoke)

    def withhold(self, tenant: str) -> None:
        """Let a tenant's sources fail from now on; what was fetched serves until it expires."""
        for reference in self._references(tenant):
            self._keys.withhold(reference, withheld=True)

    def deliver(self, tenant: str) -> None:
        """End what `withhold` began."""
        for reference in self._references(tenant):
            self._keys.withhold(reference, withheld=False)

    # -- time -------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Let time pass: what falls due meanwhile has been fetched or evicted on return."""
        end = self._time.now + seconds
        while (pause := self._run_due()) is not None and self._time.now + pause <= end:
            self._time.now += pause
        self._time.now = end
        self._run_due()

    def _run_due(self) -> float | None:
        pause = self._refresher.schedule.run_due()
        self._refresher.settle()
        return pause

    # -- within -----------------------------------------------------------------------------------

    def _build(self, name: str, endpoint: str | None, find: Find | None = None) -> EndpointClients:
        self._keys.expect(self._references(name))
        clients = super()._build(name, endpoint, find)
        clients.connection = FakeConnection(name, clients.settings, self._service)
        clients.gate.clock = self._time
        clients.gate.last_use = self._time()
        return clients

    def _known(self, tenant: str) -> str:
        """Refuse a misspelt name, of which a test would find nothing sent."""
        with suppress(TenantQuarantinedError, TenantNotLoadedError):
            self.catalog.get(tenant)
        return tenant

    def _references(self, tenant: str) -> Iterator[SecretReference]:
        found = self.catalog.get(tenant)
        for settings in (found.settings, *found.endpoints.values()):
            for _, reference in settings.references():
                yield reference


class _OnDemand(MemoryCatalog):
    """Tenants that come to be when somebody asks for them."""

    def get(self, name: str) -> Tenant:
        try:
            return super().get(name)
        except UnknownTenantError as error:
            try:
                self.put(name, {})
            except ConfigError:
                raise error from None  # no tenant can be called so
            return super().get(name)


def _of_names(tenants: tuple[str, ...]) -> dict[str, Any]:
    # A reference that every configuration knows; what it points at is made up, like all others.
    return {
        "defaults": {"api_key": {"file": "/{tenant}"}},
        "tenants": {name: {} for name in tenants},
    }
