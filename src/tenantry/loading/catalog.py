"""Where the tenants stand, if not in the configuration itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from tenantry.errors import Problem
from tenantry.loading.problems import found_by
from tenantry.loading.values import Sited
from tenantry.settings import CatalogSettings

if TYPE_CHECKING:
    from tenantry.settings import References

_ALLOW = (
    "say what rows may point at:"
    ' allow: {origins: ["https://api.openai.com"], secrets: {vault: ["tenants/{tenant}"]}}'
)
_EXACTLY_ONE = "write {sqlite: {path: FILE}} or {postgres: {dsn: {env: NAME}}}"


def read_catalog(
    whole: Sited, references: References, problems: list[Problem]
) -> CatalogSettings | None:
    """Return the engine that a configuration names, or None where tenants stand in files.

    What is wrong with it, or beside it, is added to `problems`.
    """
    said = whole.get("catalog")
    if not isinstance(said, Sited):
        return None
    site = whole.sites["catalog"]
    try:
        settings = CatalogSettings.model_validate(said, context=references)
    except ValidationError as error:
        problems += found_by(error, said, "catalog", CatalogSettings)
        return CatalogSettings()
    if (settings.sqlite is None) == (settings.postgres is None):
        problems.append(Problem("wants exactly one engine", "catalog", site, _EXACTLY_ONE))
    if "allow" not in whole:
        problems.append(Problem("an engine needs `allow`", "catalog", site, _ALLOW))
    _check_dsn(said.get("postgres"), problems)
    return settings


def check_only_rows(tenants: Sited, problems: list[Problem]) -> None:
    """Refuse tenants in files beside an engine: nobody could tell which of them count."""
    name = next(iter(tenants), None)
    if name is not None:
        message = "tenants stand in the engine that `catalog` names, and in no file beside it"
        hint = "move them with `tenantry catalog import FILE`, then take them out of here"
        problems.append(Problem(message, f"tenants.{name}", tenants.sites[name], hint))


def _check_dsn(said: object, problems: list[Problem]) -> None:
    if isinstance(said, Sited) and _speaks_of_tenants(said["dsn"]):
        message = "is one for all tenants: {tenant} and {labels...} mean nothing here"
        problems.append(Problem(message, "catalog.postgres.dsn", said.sites["dsn"]))


def _speaks_of_tenants(said: object) -> bool:
    if isinstance(said, dict):
        return any(map(_speaks_of_tenants, said.values()))
    if isinstance(said, list):
        return any(map(_speaks_of_tenants, said))
    return isinstance(said, str) and ("{tenant}" in said or "{labels." in said)
