"""Every setting of a tenant, with its value and the place that set it; secrets are not shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, SecretStr

from tenantry.loading.values import Sited
from tenantry.secret import REDACTED
from tenantry.settings import TenantSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenantry.errors import Site
    from tenantry.loading.tenants import Tenant


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its dotted name, its value as text, and where it was said."""

    name: str
    value: str
    origin: str


# Values that may be secrets although they are not references.
_REDACTED = frozenset({"default_headers", "default_query"})
_SINGLE = frozenset(
    {"api_key", "admin_api_key", "azure_ad_token", "azure_ad_token_provider", "webhook_secret"}
)


def explain(tenant: Tenant, endpoint: str = "") -> tuple[Setting, ...]:
    """Return every setting of a tenant, or of one endpoint of it, those by default last."""
    merged = tenant.said[endpoint]
    said = [setting for key in merged for setting in _said(key, merged[key], merged.sites[key])]
    defaults = [
        Setting(name, _default(field.get_default(call_default_factory=True)), "default")
        for name, field in TenantSettings.model_fields.items()
        if name not in merged
    ]
    return (*said, *defaults)


def _said(key: str, value: Any, site: Site) -> Iterator[Setting]:
    if key in _SINGLE or not isinstance(value, Sited) or not value:
        yield Setting(key, _shown(value), str(site))
        return
    for inner, each in value.items():
        plain = key in _REDACTED and not isinstance(each, Mapping)
        shown = REDACTED if plain else _shown(each)
        yield Setting(f"{key}.{inner}", shown, str(value.sites[inner]))


def _shown(value: Any) -> str:
    if isinstance(value, SecretStr):
        return REDACTED
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_inside(key, each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_shown(inner) for inner in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if callable(value):  # the text of a partial() shows its arguments
        return str(getattr(value, "__name__", type(value).__name__))
    return "null" if value is None else str(value)


def _inside(source: str, said: Any) -> str:
    """Return what a reference says of its source; a program's arguments may be secrets too."""
    if source == "literal":
        return REDACTED
    if source != "command":
        return _shown(said)
    argv = said.get("argv") if isinstance(said, Mapping) else said
    return f"[{argv[0]}, ...]" if isinstance(argv, (list, tuple)) and argv else REDACTED


def _default(value: Any) -> str:
    if isinstance(value, BaseModel):
        return _shown(value.model_dump(exclude_none=True))
    return _shown(value)
