"""Each tenant's layers become its validated settings; a broken one does not break another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tenantry.errors import Problem
from tenantry.loading.allow import disallowed
from tenantry.loading.placeholders import filled
from tenantry.loading.problems import found_by
from tenantry.loading.values import Sited
from tenantry.settings import AllowSettings, References, TenantSettings, folded
from tenantry.settings.tenant import AZURE_ONLY, OPENAI_ONLY, TENANT_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tenantry.errors import Site
    from tenantry.loading.layers import Stack


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant, read whole: its settings, those of its endpoints, and where all was said."""

    name: str
    settings: TenantSettings
    endpoints: Mapping[str, TenantSettings]
    said: Mapping[str, Sited]  # merged values with their places, by endpoint; "" is the tenant


class TenantReader:
    """Reads all tenants of one configuration into `usable` and `broken`."""

    def __init__(
        self,
        stack: Stack,
        references: References,
        allow: AllowSettings,
        problems: list[Problem],
    ) -> None:
        self._stack = stack
        self._references = references
        self._allow = allow
        self._problems = problems
        self.usable: dict[str, Tenant] = {}
        self.broken: dict[str, list[Problem]] = {}

    def read(self, tenants: Sited, over: Sited) -> None:
        self._check_names(tenants, over)
        for name in [*tenants, *(name for name in over if name not in tenants)]:
            site = tenants.sites.get(name) or over.sites[name]
            problems: list[Problem] = []
            tenant = self._tenant(name, tenants.get(name), over.get(name), site, problems)
            if tenant is not None and not problems:
                self.usable[name] = tenant
            else:
                self.broken[name] = problems

    def _check_names(self, tenants: Sited, over: Sited) -> None:
        seen: dict[str, str] = {}
        for name in [*tenants, *over]:
            site = tenants.sites.get(name) or over.sites[name]
            twin = seen.setdefault(folded(name), name)
            if twin != name:
                message = (
                    f"{name!r} and {twin!r} are the same name once case and `-_.` are folded:"
                    " two tenants could meet in one variable or file"
                )
                hint = f"{twin!r} is at {tenants.sites.get(twin)}"
                self._problems.append(Problem(message, f"tenants.{name}", site, hint))

    def _tenant(
        self, name: str, said: Any, over: Any, site: Site, problems: list[Problem]
    ) -> Tenant | None:
        path = f"tenants.{name}"
        if not TENANT_NAME.fullmatch(name) or ".." in name:
            message = "a tenant's name is 1 to 128 letters, digits and ._- without `..`"
            problems.append(Problem(message, path, site))
            return None
        for layer in (said, over):
            if layer is not None and not isinstance(layer, Sited):
                problems.append(Problem("is not a mapping", path, site))
                return None
        said = Sited(site) if said is None else said
        over = Sited(site) if over is None else over
        return self._whole(name, said, over, problems)

    def _whole(self, name: str, said: Sited, over: Sited, problems: list[Problem]) -> Tenant | None:
        endpoints = said.get("endpoints")
        names = list(endpoints) if isinstance(endpoints, Sited) else []
        merged: dict[str, Sited] = {}
        settings: dict[str, TenantSettings] = {}
        for endpoint in ["", *names]:
            merged[endpoint] = self._merged(name, said, over, endpoint, problems)
            read = self._settings(name, merged[endpoint], endpoint, problems)
            if read is None:
                return None
            settings[endpoint] = read
            own = set(_own_sites(said, over))
            problems += disallowed(self._allow, name, read, merged[endpoint], own)
        return Tenant(name, settings.pop(""), settings, merged)

    def _merged(
        self, name: str, said: Sited, over: Sited, endpoint: str, problems: list[Problem]
    ) -> Sited:
        merged = self._stack.tenant(f"tenants.{name}", said, over, endpoint, problems)
        return filled(merged, name, problems)

    def _settings(
        self, name: str, merged: Sited, endpoint: str, problems: list[Problem]
    ) -> TenantSettings | None:
        path = f"tenants.{name}" + (f".endpoints.{endpoint}" if endpoint else "")
        try:
            settings = TenantSettings.model_validate(merged, context=self._references)
        except ValidationError as error:
            problems += found_by(error, merged, path, TenantSettings)
            return None
        problems += _of_the_other_provider(settings, merged, path)
        return settings


def _of_the_other_provider(settings: TenantSettings, merged: Sited, path: str) -> Iterator[Problem]:
    foreign = OPENAI_ONLY if settings.provider == "azure" else AZURE_ONLY
    for key in sorted(foreign & merged.keys()):
        other = "openai" if settings.provider == "azure" else "azure"
        message = f"{key} is for `provider: {other}`, and this tenant is {settings.provider}"
        yield Problem(message, f"{path}.{key}", merged.sites[key])


def _own_sites(*layers: Sited) -> Iterator[Site]:
    """Return every place that the tenant itself spoke at."""
    for layer in layers:
        for key, site in layer.sites.items():
            yield site
            if isinstance(layer[key], Sited):
                yield from _own_sites(layer[key])


def owner_of(problem: Problem, document: Sited) -> str | None:
    """Return the tenant within whose lines a problem stands, if it stands within one."""
    tenants = document.get("tenants")
    if problem.site is None or not problem.site.line or not isinstance(tenants, Sited):
        return None
    starts = [(site, "") for site in document.sites.values()]
    starts += [(site, name) for name, site in tenants.sites.items()]
    before = [
        (site, name)
        for site, name in starts
        if site.file == problem.site.file and site < problem.site
    ]
    return (max(before)[1] or None) if before else None
