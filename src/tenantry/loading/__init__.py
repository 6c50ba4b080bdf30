"""Text becomes settings: files, variables and layers, with the place of every value."""

from tenantry.loading.configuration import Config, Configuration, load, paths_of
from tenantry.loading.explain import Setting, explain
from tenantry.loading.files import Contents, Signature, read_contents, signature
from tenantry.loading.rows import RowReader
from tenantry.loading.sources import DeclaredSource
from tenantry.loading.tenants import Tenant

__all__ = [
    "Config",
    "Configuration",
    "Contents",
    "DeclaredSource",
    "RowReader",
    "Setting",
    "Signature",
    "Tenant",
    "explain",
    "load",
    "paths_of",
    "read_contents",
    "signature",
]
