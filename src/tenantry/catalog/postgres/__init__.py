"""Tenants in PostgreSQL, through psycopg."""

from tenantry.errors import MissingExtraError

try:
    from tenantry.catalog.postgres.engine import PostgresEngine
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "psycopg":
        raise
    raise MissingExtraError("postgres", needed_for="catalogs in PostgreSQL") from error

__all__ = ["PostgresEngine"]
