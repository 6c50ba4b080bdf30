"""One sealed, pooled, always-fresh OpenAI client for each tenant of your service.

    from tenantry import ClientRegistry

    with ClientRegistry.open("config/tenants.yaml") as registry:
        client = registry.client("acme")        # openai.OpenAI, built on first use, pooled
        quick = registry.client("acme", timeout=5)   # a with_options clone, same connections

The road through the code, in the order that the data walks it: `loading` makes `settings` of text,
`catalog` says who the tenants are, `sources` say where secrets come from, `credential` keeps them
fresh, `clients` build and seal the SDK's clients, and `registry` hands them out.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tenantry.catalog import CatalogChange as CatalogChange
    from tenantry.clients import ClientOptions as ClientOptions
    from tenantry.context import current_tenant as current_tenant
    from tenantry.context import use_tenant as use_tenant
    from tenantry.credential import CredentialStatus as CredentialStatus
    from tenantry.errors import CatalogUnavailableError as CatalogUnavailableError
    from tenantry.errors import ConfigError as ConfigError
    from tenantry.errors import CredentialUnavailableError as CredentialUnavailableError
    from tenantry.errors import MissingExtraError as MissingExtraError
    from tenantry.errors import NoCurrentTenantError as NoCurrentTenantError
    from tenantry.errors import OptionNotAllowedError as OptionNotAllowedError
    from tenantry.errors import Problem as Problem
    from tenantry.errors import RegistryClosedError as RegistryClosedError
    from tenantry.errors import SourceError as SourceError
    from tenantry.errors import TenantBoundaryError as TenantBoundaryError
    from tenantry.errors import TenantDisabledError as TenantDisabledError
    from tenantry.errors import TenantNotLoadedError as TenantNotLoadedError
    from tenantry.errors import TenantQuarantinedError as TenantQuarantinedError
    from tenantry.errors import TenantryError as TenantryError
    from tenantry.errors import UnknownEndpointError as UnknownEndpointError
    from tenantry.errors import UnknownTenantError as UnknownTenantError
    from tenantry.errors import UnsupportedSettingError as UnsupportedSettingError
    from tenantry.registry import ClientRegistry as ClientRegistry
    from tenantry.secret import Document as Document
    from tenantry.secret import Secret as Secret
    from tenantry.settings import Settings as Settings
    from tenantry.status import TenantStatus as TenantStatus

_HOMES = {
    "catalog": ("CatalogChange",),
    "clients": ("ClientOptions",),
    "context": ("current_tenant", "use_tenant"),
    "credential": ("CredentialStatus",),
    "errors": (
        "CatalogUnavailableError",
        "ConfigError",
        "CredentialUnavailableError",
        "MissingExtraError",
        "NoCurrentTenantError",
        "OptionNotAllowedError",
        "Problem",
        "RegistryClosedError",
        "SourceError",
        "TenantBoundaryError",
        "TenantDisabledError",
        "TenantNotLoadedError",
        "TenantQuarantinedError",
        "TenantryError",
        "UnknownEndpointError",
        "UnknownTenantError",
        "UnsupportedSettingError",
    ),
    "registry": ("ClientRegistry",),
    "secret": ("Document", "Secret"),
    "settings": ("Settings",),
    "status": ("TenantStatus",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "CatalogChange",
    "CatalogUnavailableError",
    "ClientOptions",
    "ClientRegistry",
    "ConfigError",
    "CredentialStatus",
    "CredentialUnavailableError",
    "Document",
    "MissingExtraError",
    "NoCurrentTenantError",
    "OptionNotAllowedError",
    "Problem",
    "RegistryClosedError",
    "Secret",
    "Settings",
    "SourceError",
    "TenantBoundaryError",
    "TenantDisabledError",
    "TenantNotLoadedError",
    "TenantQuarantinedError",
    "TenantStatus",
    "TenantryError",
    "UnknownEndpointError",
    "UnknownTenantError",
    "UnsupportedSettingError",
    "current_tenant",
    "use_tenant",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME_OF})
