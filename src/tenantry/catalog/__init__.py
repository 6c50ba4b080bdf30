"""Who the tenants are."""

from tenantry.catalog.base import Catalog, CatalogChange
from tenantry.catalog.files import FilesCatalog
from tenantry.catalog.lazy import LazyCatalog
from tenantry.catalog.memory import MemoryCatalog
from tenantry.catalog.snapshot import Snapshot, SnapshotCatalog

__all__ = [
    "Catalog",
    "CatalogChange",
    "FilesCatalog",
    "LazyCatalog",
    "MemoryCatalog",
    "Snapshot",
    "SnapshotCatalog",
]
