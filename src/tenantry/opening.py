"""What a registry is opened with: found, read, and read again."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tenantry.catalog import Catalog, FilesCatalog, MemoryCatalog
from tenantry.loading import load, read_contents

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenantry.loading import Config, Configuration, Contents
    from tenantry.sources import SourceKind

DEFAULT_FILE = Path("config/tenants.yaml")
CONFIG_VARIABLE = "TENANTRY_CONFIG"


class Opening:
    """A configuration at its place; lives as long as the registry that reads it again.

    Args:
        config: what `ClientRegistry.open` was given.
        environ: the one environment.
        kinds: the kinds of sources by name.
    """

    def __init__(
        self,
        config: Config | Catalog | None,
        environ: Mapping[str, str],
        kinds: Mapping[str, SourceKind],
    ) -> None:
        self._catalog = config if isinstance(config, Catalog) else None
        said: Config | None = None if isinstance(config, Catalog) else config
        self.config = _default_config(environ) if said is None else said
        self.environ = environ
        self.kinds = kinds

    def read(self, contents: Contents | None = None) -> Configuration:
        """Read everything, from what was read of the files before, or from the files.

        Raises:
            ConfigError: with every problem.
        """
        return load(
            self.config,
            environ=self.environ,
            kinds=self.kinds,
            tenants_needed=self._catalog is None,
            contents=contents,
        )

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files and directories that are read; none for what comes from code."""
        said = self.config
        if isinstance(said, (str, Path)):
            return (Path(said),)
        return tuple(map(Path, said)) if isinstance(said, (list, tuple)) else ()

    def contents(self) -> Contents | None:
        """Read the files, without a look at what they say; None for what comes from code."""
        return read_contents(self.paths) if self.paths else None

    def catalog(self, configuration: Configuration) -> Catalog:
        """Return the catalog that was given, or the one for what was read."""
        if self._catalog is not None:
            return self._catalog
        tenants, quarantined = configuration.tenants, configuration.quarantined
        if self.paths:
            return FilesCatalog(tenants, quarantined)
        return MemoryCatalog(tenants, quarantined, configuration.rows)


def _default_config(environ: Mapping[str, str]) -> Config | None:
    said = environ.get(CONFIG_VARIABLE)
    if said:
        return said.split(os.pathsep)
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None
