"""Who the tenants are."""

from tenantry.catalog.base import Catalog
from tenantry.catalog.memory import MemoryCatalog

__all__ = ["Catalog", "MemoryCatalog"]
