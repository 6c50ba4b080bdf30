"""What a command reads for itself: the configuration, and a registry that nobody else uses."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Self

from tenantry.errors import TenantQuarantinedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tenantry.catalog import Catalog
    from tenantry.cli.terminal import Terminal
    from tenantry.loading import Config, Configuration, Tenant
    from tenantry.opening import Opening
    from tenantry.registry import ClientRegistry
    from tenantry.settings import TenantSettings


class Fresh:
    """A configuration as this process reads it; lives as long as one command.

    Nothing is fetched before somebody asks for it, nothing is watched, and no control socket is
    served: who looks for the service's processes has to find the service's alone.

    Raises:
        ConfigError: with every problem, where it cannot be used.
    """

    def __init__(self, opening: Opening) -> None:
        from tenantry.events import EventStream
        from tenantry.secrets import Secrets

        self._opening = opening
        self.configuration: Configuration = opening.read()
        self._events = EventStream()
        self._secrets = Secrets(
            self.configuration.sources, opening.kinds, opening.environ, self._events
        )
        self.catalog: Catalog = opening.catalog(self.configuration, self._secrets, self._events)
        self._exit = ExitStack()
        for it in (self._events, self._secrets, self.catalog):
            self._exit.callback(getattr(it, "close", _nothing))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._exit.close()

    def registry(self) -> ClientRegistry:
        """Return a registry of it, for the length of the command; imports `openai`."""
        from tenantry.registry import ClientRegistry

        read, opening = self.configuration, self._opening
        registry = ClientRegistry(
            self.catalog, self._secrets, self._events, opening.read, read.registry
        )
        self._exit.callback(registry.close)
        return registry

    # -- who is there -----------------------------------------------------------------------------

    def everybody(self) -> Iterator[tuple[str, Tenant | None]]:
        """Return every tenant by name, None for one in quarantine; of an engine page by page."""
        from tenantry.catalog import LazyCatalog

        if isinstance(self.catalog, LazyCatalog):
            return ((entry.name, entry.tenant) for entry in self.catalog.everybody())
        return ((name, self._tenant(name)) for name in self.catalog.names())

    def _tenant(self, name: str) -> Tenant | None:
        try:
            return self.catalog.get(name)
        except TenantQuarantinedError:
            return None

    def served(self) -> list[str]:
        """Return the names of those that a service would serve."""
        return [name for name, tenant in self.everybody() if tenant and tenant.settings.enabled]

    def sample(self) -> Iterator[Tenant]:
        """Return the tenants that are served, or of an engine some that speak for all."""
        from tenantry.catalog import LazyCatalog

        if isinstance(self.catalog, LazyCatalog):
            found = {each.name: each for each in self.catalog.sample() if each.settings.enabled}
            return iter(found.values())
        return map(self.catalog.get, self.served())


def opening_of(terminal: Terminal, config: Config | None = None) -> Opening:
    """Return what a command reads: `config`, else `--config`, else what a registry would find."""
    from tenantry.opening import Opening
    from tenantry.sources import kinds

    said = list(terminal.config) or None
    return Opening(said if config is None else config, os.environ, kinds())


def fresh(terminal: Terminal, config: Config | None = None) -> Fresh:
    """Read the configuration of a command.

    Raises:
        ConfigError: with every problem, where it cannot be used.
    """
    return Fresh(opening_of(terminal, config))


def _nothing() -> None:
    """Stand in for the end of what needs none."""


def endpoints(tenant: Tenant) -> Mapping[str, TenantSettings]:
    """Return a tenant's settings by endpoint; "" is its own address."""
    return {"": tenant.settings, **tenant.endpoints}


def address(settings: TenantSettings) -> str:
    """Return where requests go; "" is the SDK's own address."""
    return settings.azure_endpoint or settings.base_url or ""


def credential_of(settings: TenantSettings) -> tuple[str, str]:
    """Return the setting that is the credential, and the source that it comes from."""
    key = settings.credential_key()
    if key is None:
        return "", ""
    said = dict(settings.references()).get(key)
    return key, key if said is None else said.source
