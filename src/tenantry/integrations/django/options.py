"""What the setting `TENANTRY` may say."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeAlias

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from tenantry.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from django.http import HttpRequest

    from tenantry.catalog import Catalog
    from tenantry.loading import Config
    from tenantry.registry import ClientRegistry

Resolver: TypeAlias = "Callable[[HttpRequest], str | Awaitable[str | None] | None]"

SETTING = "TENANTRY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The setting `TENANTRY`: a configuration alone, or these by name.

    `config` and `environ` are what `ClientRegistry.open` takes; `registry` stands in their place: a
    registry that the application opened, what returns one, or the dotted path of either. `tenant`
    is a resolver, or its dotted path. With `current` the request's tenant is the current one while
    its view runs. `unknown` is the status for a tenant that nobody knows, 404 or 403.
    """

    config: Config | Catalog | None = None
    environ: Mapping[str, str] | None = None
    registry: ClientRegistry | Callable[[], ClientRegistry] | str | None = None
    tenant: Resolver | str | None = None
    current: bool = False
    unknown: int = HTTPStatus.NOT_FOUND

    def resolver(self) -> Resolver | None:
        """Return what says whose a request is; None where nothing was said.

        Raises:
            ImproperlyConfigured: it cannot be imported or called.
        """
        return None if self.tenant is None else imported(self.tenant, "tenant")


def read_options() -> Options:
    """Read the setting.

    Raises:
        ImproperlyConfigured: there is none, or it says what nobody understands.
    """
    said: Any = getattr(settings, SETTING, None)
    if said is None:
        raise ImproperlyConfigured(_MISSING)
    if not isinstance(said, Mapping) or _is_configuration(said):
        return Options(config=said)
    for name in said:
        if name not in _NAMES:
            raise ImproperlyConfigured(_unknown(name))
    options = Options(**said)
    _check(options)
    return options


def imported(said: Any, option: str) -> Any:
    """Return the callable that an option names by its dotted path, or is.

    Raises:
        ImproperlyConfigured: it cannot be imported or called.
    """
    found: Any = said
    if isinstance(said, str):
        try:
            found = import_string(said)
        except ImportError as error:
            raise ImproperlyConfigured(f"{SETTING}[{option!r}]: {error}") from error
    if not callable(found):
        raise ImproperlyConfigured(f"{SETTING}[{option!r}]: {said!r} cannot be called")
    return found


def _is_configuration(said: Mapping[str, Any]) -> bool:
    return not said.keys() & _NAMES and bool(said.keys() & Settings.model_fields.keys())


def _unknown(name: str) -> str:
    if name in Settings.model_fields:
        return f"{SETTING}[{name!r}] belongs to the configuration: say it in {SETTING}['config']"
    near = difflib.get_close_matches(str(name), _NAMES, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(sorted(_NAMES))}"
    return f"{SETTING}[{name!r}] is unknown: {hint}"


def _check(options: Options) -> None:
    if options.registry is not None and (options.config, options.environ) != (None, None):
        raise ImproperlyConfigured(f"{SETTING}['registry'] stands in the place of a configuration")
    if options.unknown not in _UNKNOWN:
        raise ImproperlyConfigured(f"{SETTING}['unknown'] is 404 or 403, not {options.unknown!r}")


_NAMES = frozenset(field.name for field in fields(Options))
_UNKNOWN = (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN)
_MISSING = (
    f"the settings have no {SETTING}: say where the configuration is,"
    f' {SETTING} = BASE_DIR / "config/tenants.yaml", or {SETTING} = {{}} for TENANTRY_CONFIG'
)
