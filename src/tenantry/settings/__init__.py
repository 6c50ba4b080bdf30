"""Everything that a configuration may say; models only, no I/O.

What a source of secrets may say (how to log in, what a reference looks like) stands in the
source's own file. Every model is immutable and refuses keys that it does not know.
"""

from tenantry.settings.base import Model, RefreshSettings, Seconds, folded, invalid, nearest
from tenantry.settings.catalog import (
    CatalogSettings,
    EngineSettings,
    PostgresSettings,
    SqliteSettings,
)
from tenantry.settings.connection import (
    PoolSettings,
    ProxySettings,
    TimeoutSettings,
    TlsSettings,
)
from tenantry.settings.process import AllowSettings, RegistrySettings, Settings
from tenantry.settings.references import (
    Kind,
    NestedProblems,
    ReferenceOptions,
    References,
    SecretReference,
    SourceSettings,
)
from tenantry.settings.tenant import TenantSettings, WorkloadIdentitySettings

__all__ = [
    "AllowSettings",
    "CatalogSettings",
    "EngineSettings",
    "Kind",
    "Model",
    "NestedProblems",
    "PoolSettings",
    "PostgresSettings",
    "ProxySettings",
    "ReferenceOptions",
    "References",
    "RefreshSettings",
    "RegistrySettings",
    "Seconds",
    "SecretReference",
    "Settings",
    "SourceSettings",
    "SqliteSettings",
    "TenantSettings",
    "TimeoutSettings",
    "TlsSettings",
    "WorkloadIdentitySettings",
    "folded",
    "invalid",
    "nearest",
]
