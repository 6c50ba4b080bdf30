"""The one registry of a Django process: opened when first needed, anew when settings change."""

from __future__ import annotations

import atexit
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from tenantry.forks import survives_fork
from tenantry.integrations.django.options import SETTING, Options, imported, read_options

if TYPE_CHECKING:
    from tenantry.integrations.django.options import Resolver
    from tenantry.registry import ClientRegistry

APP = "tenantry.integrations.django"


@dataclass(frozen=True, slots=True)
class Opened:
    """What the setting became. A registry that the application opened itself is not `ours`."""

    registry: ClientRegistry
    resolver: Resolver | None
    ours: bool


class Holder:
    """Holds what is opened; lives as long as the process, in forked children too."""

    def __init__(self) -> None:
        self._options: Options | None = None
        self._opened: Opened | None = None
        self.after_fork()
        survives_fork(self)

    def after_fork(self) -> None:
        self._lock = threading.Lock()  # one opens, or closes

    def get(self) -> Opened:
        """Return what is opened; the first who asks opens it.

        Raises:
            ImproperlyConfigured: the settings cannot be used.
            ConfigError: the configuration cannot.
        """
        return self._opened or self._open()

    @property
    def options(self) -> Options:
        """The setting; reading it opens nothing.

        Raises:
            ImproperlyConfigured: it cannot be used.
        """
        options = self._options
        if options is None:
            self._options = options = read_options()
        return options

    @property
    def at_once(self) -> Opened | None:
        """What is opened, if it is."""
        return self._opened

    def reset(self) -> None:
        """Close the registry and forget the setting; whoever asks next opens a new one."""
        with self._lock:
            opened, self._opened, self._options = self._opened, None, None
        if opened is not None and opened.ours:
            opened.registry.close()

    def end(self) -> None:
        """Close the registry for good, at the end of the process."""
        opened = self._opened
        if opened is not None and opened.ours:
            opened.registry.close()

    def _open(self) -> Opened:
        with self._lock:
            if self._opened is None:
                self._opened = _opened(self.options)
            return self._opened


def _opened(options: Options) -> Opened:
    if not apps.is_installed(APP):
        raise ImproperlyConfigured(f"INSTALLED_APPS has no {APP!r}")
    from tenantry.registry import ClientRegistry  # the SDK is not needed until now

    resolver = options.resolver()
    if options.registry is None:
        registry = ClientRegistry.open(options.config, environ=options.environ)
        return Opened(registry, resolver, ours=True)
    said: Any = options.registry
    given = said if isinstance(said, ClientRegistry) else imported(said, "registry")
    found = given if isinstance(given, ClientRegistry) else given()
    if not isinstance(found, ClientRegistry):
        raise ImproperlyConfigured(f"{SETTING}['registry'] returned no registry: {found!r}")
    return Opened(found, resolver, ours=False)


holder = Holder()
atexit.register(holder.end)
