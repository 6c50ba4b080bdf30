"""Tenants as files say them: to change one, change its file and reload."""

from __future__ import annotations

from tenantry.catalog.snapshot import SnapshotCatalog


class FilesCatalog(SnapshotCatalog):
    """The tenants of configuration files, as they were last read whole."""
