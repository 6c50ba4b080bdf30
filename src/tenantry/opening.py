"""What a registry is opened with: found, read, and read again."""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tenantry.catalog import Catalog, FilesCatalog, LazyCatalog, MemoryCatalog
from tenantry.errors import (
    CatalogUnavailableError,
    ConfigError,
    CredentialUnavailableError,
    Problem,
)
from tenantry.events import EventStream
from tenantry.loading import load, read_contents
from tenantry.secrets import Secrets
from tenantry.sources import kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from tenantry.catalog.engine import Engine
    from tenantry.holding import Held
    from tenantry.loading import Config, Configuration, Contents
    from tenantry.settings import CatalogSettings, SecretReference
    from tenantry.sources import SourceKind

DEFAULT_FILE = Path("config/tenants.yaml")
CONFIG_VARIABLE = "TENANTRY_CONFIG"

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_ENGINE = """\
write these lines to a file, and open that:
    catalog: {postgres: {dsn: {env: DATABASE_URL}}}
    allow: {origins: ["https://api.openai.com"], secrets: {vault: ["tenants/{tenant}"]}}
    defaults: {api_key: {vault: "tenants/{tenant}"}}"""


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
        _check_no_url(environ.get(CONFIG_VARIABLE) if said is None else said)
        self._engine: tuple[object, ...] | None = None  # where it was when this was opened
        self.config = _default_config(environ) if said is None else said
        self.environ = environ
        self.kinds = kinds

    def read(self, contents: Contents | None = None) -> Configuration:
        """Read everything, from what was read of the files before, or from the files.

        Raises:
            ConfigError: with every problem.
        """
        configuration = load(
            self.config,
            environ=self.environ,
            kinds=self.kinds,
            tenants_needed=self._catalog is None,
            contents=contents,
        )
        place = _place_of(configuration.catalog)
        if self._engine not in (None, place):
            reason = "is another catalog than the one that was opened"
            raise ConfigError(Problem(reason, "catalog", hint="restart the process"))
        self._engine = place
        return configuration

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

    def catalog(
        self,
        configuration: Configuration,
        secrets: Secrets | None = None,
        events: EventStream | None = None,
    ) -> Catalog:
        """Return the catalog that was given, or the one for what was read.

        Args:
            configuration: what was read.
            secrets: where an engine's own secret is kept.
            events: where an engine's tenants are spoken of.

        Raises:
            MissingExtraError: the engine needs a package that is not installed.
        """
        if self._catalog is not None:
            return self._catalog
        if configuration.catalog is not None and configuration.engine is not None:
            events = events or EventStream()
            secrets = secrets or self.secrets(configuration, events)
            return LazyCatalog(
                engine_of(configuration.catalog, secrets),
                configuration.rows,
                events,
                cache=configuration.engine.cache,
                poll=configuration.engine.poll,
                max_stale=configuration.registry.max_catalog_stale,
            )
        tenants, quarantined = configuration.tenants, configuration.quarantined
        if self.paths:
            return FilesCatalog(tenants, quarantined)
        return MemoryCatalog(tenants, quarantined, configuration.rows)

    def secrets(self, configuration: Configuration, events: EventStream) -> Secrets:
        """Return the sources that were declared, and what is to be fetched from them."""
        return Secrets(configuration.sources, self.kinds, self.environ, events)


@contextmanager
def open_engine(
    config: Config | None, environ: Mapping[str, str]
) -> Generator[tuple[Engine, Configuration]]:
    """Open the engine that a configuration names, with the configuration that its rows obey.

    Raises:
        ConfigError: with every problem, or because it names none.
    """
    opening = Opening(config, environ, kinds())
    configuration = opening.read()
    if configuration.catalog is None:
        raise ConfigError(Problem("names no engine", "catalog", hint=_ENGINE))
    events = EventStream()
    secrets = opening.secrets(configuration, events)
    engine = engine_of(configuration.catalog, secrets)
    try:
        yield engine, configuration
    finally:
        engine.close()
        secrets.close()
        events.close()


def engine_of(settings: CatalogSettings, secrets: Secrets) -> Engine:
    """Return the engine that keeps the tenants; connects nowhere yet."""
    if settings.sqlite is not None:
        from tenantry.catalog.sqlite import SqliteEngine

        return SqliteEngine(settings.sqlite.path)
    assert settings.postgres is not None  # noqa: S101  # `loading` saw to it that one is said
    from tenantry.catalog.postgres import PostgresEngine

    reference, notify = settings.postgres.dsn, settings.postgres.notify
    dsn, instead = _revealing(secrets, reference), _replacing(secrets, reference)
    return PostgresEngine(dsn, instead=instead, notify=notify)


def _revealing(secrets: Secrets, reference: SecretReference) -> Callable[[], str]:
    """Return what tells how to reach a database now; who rotates its password is obeyed."""

    def dsn() -> str:
        try:
            return secrets.for_catalog(reference).get().reveal()
        except CredentialUnavailableError as error:
            reason = f"{error.reference}: {error.reason}"
            raise CatalogUnavailableError(
                "postgres", reason=reason, retry_after=error.retry_after
            ) from error

    return dsn


def _replacing(secrets: Secrets, reference: SecretReference) -> Callable[[str], str | None]:
    """Return what has a refused DSN fetched anew, as rarely as a key that the service refuses."""

    def instead(refused: str) -> str | None:
        credential = secrets.for_catalog(reference)

        def read(held: Held) -> str | None:
            secret = credential.readable(held)
            return None if secret is None else secret.reveal()

        other = credential.replacement(refused, read)
        return None if other is None else read(other)

    return instead


def _place_of(settings: CatalogSettings | None) -> tuple[object, ...]:
    """Return what tells one catalog from another; limits do not."""
    if settings is None:
        return ()
    if settings.sqlite is not None:
        return (settings.sqlite.path,)
    return (settings.postgres and (settings.postgres.dsn, settings.postgres.notify),)


def _check_no_url(said: object) -> None:
    """Refuse the address of a database, which may hold a password, and show what to write.

    Raises:
        ConfigError: it is one.
    """
    paths = said if isinstance(said, (list, tuple)) else [said]
    if any(isinstance(path, str) and _URL.match(path) for path in paths):
        raise ConfigError(Problem("a URL (not shown) is no configuration", hint=_ENGINE))


def _default_config(environ: Mapping[str, str]) -> Config | None:
    said = environ.get(CONFIG_VARIABLE)
    if said:
        return said.split(os.pathsep)
    return DEFAULT_FILE if DEFAULT_FILE.exists() else None
