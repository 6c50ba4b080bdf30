"""What a configuration may say about where its tenants stand, if not in files."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from tenantry.settings.base import Model, Seconds
from tenantry.settings.references import SecretReference


class EngineSettings(Model):
    """How this process reads tenants from an engine."""

    poll: Seconds = Field(
        default=2.0,
        ge=0.1,
        description="How often the engine is asked who changed; every 2 seconds unless said"
        " otherwise.",
    )
    cache: int = Field(
        default=10_000,
        ge=1,
        description="How many tenants are kept in memory, beside those whose clients are in use;"
        " 10000 unless said otherwise.",
    )


class SqliteSettings(EngineSettings):
    """Tenants in a file of SQLite, for the processes of one machine."""

    path: Path = Field(description="The file; `tenantry catalog init` makes it.")


class PostgresSettings(EngineSettings):
    """Tenants in a PostgreSQL database, for many machines."""

    dsn: SecretReference = Field(
        description="Where the database is and how to log in: a connection string or URL."
    )
    notify: bool = Field(
        default=False,
        description="Whether the database also calls at every change, so that changes arrive"
        " before the next poll; it does not unless said. Not through PgBouncer.",
    )


class CatalogSettings(Model):
    """Which engine keeps the tenants: exactly one of them."""

    sqlite: SqliteSettings | None = Field(
        default=None, description="A file of SQLite, for the processes of one machine."
    )
    postgres: PostgresSettings | None = Field(
        default=None, description="A PostgreSQL database, for many machines."
    )
