"""One tenant that comes from an engine or from code: less trusted than what stands in a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenantry.errors import ConfigError, Problem, Site
from tenantry.loading.allow import Allowance, OwnPlaces, origin_of, site_at
from tenantry.loading.environment import is_text
from tenantry.loading.layers import profile_names
from tenantry.loading.problems import without_repeats
from tenantry.loading.roster import misnamed
from tenantry.loading.tenants import TenantReader
from tenantry.loading.values import Sited, sited
from tenantry.loading.yaml import MAX_DEPTH
from tenantry.settings import folded
from tenantry.settings.tenant import ENDPOINT_KEYS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenantry.loading.layers import Stack
    from tenantry.loading.tenants import Tenant
    from tenantry.settings import AllowSettings, References, TenantSettings

MAX_VALUES = 10_000
MAX_BITS = 64


class RowReader:
    """Reads one row after another under the layers of one configuration; threads may share it.

    A row may point at nothing but what `defaults` and `profiles` say, and what `allow` names.
    """

    def __init__(
        self, stack: Stack, references: References, allow: AllowSettings, over: Mapping[str, Any]
    ) -> None:
        self._allowance = _RowAllowance(allow)
        self._reader = TenantReader(stack, references, self._allowance)
        self._over = {folded(name): said for name, said in over.items() if isinstance(said, Sited)}

    def read(self, name: str, said: Mapping[str, Any], origin: str) -> Tenant:
        """Return the tenant that a row says.

        Args:
            name: the tenant's name.
            said: what would stand under that name in a file.
            origin: where the row is from, such as `postgres:tenants/acme`.

        Raises:
            ConfigError: with every problem of the row.
        """
        site = Site(origin)
        problem = misnamed(name, site) or _too_much(said, f"tenants.{name}", site)
        if problem is not None:
            raise ConfigError(problem)
        row: Sited = sited(said, site)
        over = self._over.get(folded(name), Sited())
        problems = list(_refused(row, f"tenants.{name}", row.site))
        tenant = self._reader.read(name, row, over, OwnPlaces(row), problems)
        if tenant is not None:
            problems += self._strayed(tenant, row)
        if tenant is None or problems:
            raise ConfigError(*without_repeats(problems))
        return tenant

    def _strayed(self, tenant: Tenant, row: Sited) -> Iterator[Problem]:
        """Find where a row took an address away, so that requests would go to OpenAI's own."""
        layers = {"": row, **_endpoints(row)}
        steering = any(map(_steers, layers.values()))
        for endpoint, settings in {"": tenant.settings, **tenant.endpoints}.items():
            url = _openai_address(settings)
            if steering and url is not None and not self._allowance.origin_allowed(url):
                path = f"tenants.{tenant.name}" + (f".endpoints.{endpoint}" if endpoint else "")
                message = f"{origin_of(url)} is not among allow.origins"
                yield Problem(message, path, layers.get(endpoint, row).site)


class _RowAllowance(Allowance):
    """What rows may point at: nothing that `allow` does not name, and no way around TLS."""

    def __init__(self, allow: AllowSettings) -> None:
        super().__init__(allow, closed=True)

    def disallowed(
        self, tenant: str, settings: TenantSettings, merged: Sited, own: OwnPlaces
    ) -> list[Problem]:
        found = super().disallowed(tenant, settings, merged, own)
        for key, message, hint in self._in_tls(tenant, settings):
            if (site := site_at(merged, f"tls.{key}")) in own:
                found.append(Problem(message, f"tenants.{tenant}.tls.{key}", site, hint))
        return found

    def _in_tls(self, tenant: str, settings: TenantSettings) -> Iterator[tuple[str, str, str]]:
        if not settings.tls.verify:
            yield "verify", "a row may not turn verification off", ""
        for key in ("ca", "certificate"):
            path = getattr(settings.tls, key)
            if isinstance(path, Path):
                problem = self.locator_problem(tenant, "file", str(path))
                if problem is not None:
                    yield key, *problem


def _too_much(said: object, path: str, site: Site) -> Problem | None:
    """Bound what a row may hold before anything walks through it."""
    open_ends: list[tuple[object, int]] = [(said, 0)]
    for _ in range(MAX_VALUES):
        if not open_ends:
            return None
        value, depth = open_ends.pop()
        if depth > MAX_DEPTH:
            return Problem(f"nested deeper than {MAX_DEPTH} levels", path, site)
        if isinstance(value, int) and value.bit_length() > MAX_BITS:
            return Problem(f"a number of more than {MAX_BITS} bits", path, site)
        if isinstance(value, Mapping):
            open_ends += [(inner, depth + 1) for inner in value.values()]
        elif isinstance(value, (list, tuple)):
            open_ends += [(inner, depth + 1) for inner in value]
    return Problem(f"more than {MAX_VALUES} values", path, site)


def _refused(value: object, path: str, site: Site) -> Iterator[Problem]:
    """Find what no row may say, whatever `allow` names."""
    if isinstance(value, Sited):
        for key, inner in value.items():
            if key == "inherit_environment" and inner is not False:
                message = "a row may not inherit the environment of the process"
                yield Problem(message, f"{path}.{key}", value.sites[key])
            yield from _refused(key, path, value.sites[key])
            yield from _refused(inner, f"{path}.{key}", value.sites[key])
    elif isinstance(value, list):
        for inner in value:
            yield from _refused(inner, path, site)
    elif isinstance(value, str):
        if "${" in value:
            yield Problem("${...} is filled in in files only, not in a row", path, site)
        if not is_text(value):
            yield Problem("has a character that no text can have (not shown)", path, site)


def _endpoints(row: Sited) -> dict[str, Sited]:
    said = row.get("endpoints")
    each = said.items() if isinstance(said, Sited) else ()
    return {name: layer for name, layer in each if isinstance(layer, Sited)}


def _steers(layer: Sited) -> bool:
    """Say whether a layer could take away the address that shared layers say."""
    deselects = "profile" in layer and not profile_names(layer)
    return deselects or any(key in layer for key in (*ENDPOINT_KEYS, "provider"))


def _openai_address(settings: TenantSettings) -> str | None:
    """Return the address that the SDK takes where the settings say none."""
    if settings.base_url is not None or settings.azure_endpoint is not None:
        return None
    region = settings.data_residency
    host = "api.openai.com" if region in (None, "global") else f"{region}.api.openai.com"
    return f"https://{host}"
