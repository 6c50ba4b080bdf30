"""Text becomes settings: files, variables and layers, with the place of every value."""

from tenantry.loading.configuration import Config, Configuration, load
from tenantry.loading.explain import Setting, explain
from tenantry.loading.sources import DeclaredSource
from tenantry.loading.tenants import Tenant

__all__ = [
    "Config",
    "Configuration",
    "DeclaredSource",
    "Setting",
    "Tenant",
    "explain",
    "load",
]
