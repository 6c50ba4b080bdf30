"""Each tenant's layers become its validated settings; a broken one does not break another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from tenantry.errors import Problem
from tenantry.loading.allow import disallowed
from tenantry.loading.layers import endpoint_names, layered, only_on_tenants
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
        self._shared: set[tuple[str, Site | None]] = set()  # faults that every tenant would repeat
        self.usable: dict[str, Tenant] = {}
        self.broken: dict[str, list[Problem]] = {}

    def read(self, tenants: Sited, over: Sited) -> None:
        self._check_shared_layers()
        self._check_names(tenants, over)
        for name in [*tenants, *(name for name in over if name not in tenants)]:
            problems: list[Problem] = []
            tenant = self._tenant(name, tenants, over, problems)
            if tenant is not None and not problems:
                self.usable[name] = tenant
            else:
                self.broken[name] = [each for each in problems if _fault(each) not in self._shared]

    def _check_shared_layers(self) -> None:
        """Find what is wrong with defaults and profiles themselves, whoever uses them."""
        found = self._stack.faults()
        for path, layer in self._stack.shared():
            merged = layered([layer])
            try:
                TenantSettings.model_validate(merged, context=self._references)
            except ValidationError as error:
                # What stands at no key, such as a missing credential, is for tenants to mend.
                problems = found_by(error, merged, path, TenantSettings)
                found += [problem for problem in problems if problem.path != path]
        self._problems += found
        self._shared = {_fault(problem) for problem in self._problems}

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
                hint = f"{twin!r} is at {tenants.sites.get(twin) or over.sites[twin]}"
                self._problems.append(Problem(message, f"tenants.{name}", site, hint))

    def _tenant(
        self, name: str, tenants: Sited, over: Sited, problems: list[Problem]
    ) -> Tenant | None:
        path = f"tenants.{name}"
        site = tenants.sites.get(name) or over.sites[name]
        if not TENANT_NAME.fullmatch(name) or ".." in name:
            message = "a tenant's name is 1 to 128 letters, digits and ._- without `..`"
            problems.append(Problem(message, path, site))
            return None
        own: list[Sited] = []
        for layer in (tenants, over):
            said = layer.get(name)
            said = Sited(site) if said is None else said
            if not isinstance(said, Sited):
                problems.append(Problem("is not a mapping", path, layer.sites[name]))
                return None
            problems += _misshapen_endpoints(said, path)
            own.append(said)
        return self._whole(name, own[0], own[1], problems)

    def _whole(self, name: str, said: Sited, over: Sited, problems: list[Problem]) -> Tenant | None:
        merged: dict[str, Sited] = {}
        settings: dict[str, TenantSettings] = {}
        own = set(_own_sites(said, over))
        for endpoint in ["", *endpoint_names(said, over)]:
            found: list[Problem] = []
            merged[endpoint] = self._merged(name, said, over, endpoint, found)
            read = self._settings(name, merged[endpoint], endpoint, found)
            if read is not None:
                settings[endpoint] = read
                found += disallowed(self._allow, name, read, merged[endpoint], own)
            # An endpoint repeats the faults of the tenant that it lies over.
            known = {_fault(problem) for problem in problems}
            problems += [problem for problem in found if _fault(problem) not in known]
        if "" not in settings:
            return None
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


def _fault(problem: Problem) -> tuple[str, Site | None]:
    return problem.message, problem.site


def _misshapen_endpoints(layer: Sited, path: str) -> Iterator[Problem]:
    endpoints = layer.get("endpoints")
    path = f"{path}.endpoints"
    if not isinstance(endpoints, Sited):
        if endpoints is not None:
            yield Problem("is not a mapping", path, layer.sites["endpoints"])
        return
    for name, said in endpoints.items():
        where, site = f"{path}.{name}", endpoints.sites[name]
        if not TENANT_NAME.fullmatch(name):
            yield Problem("an endpoint's name is 1 to 128 letters, digits and ._-", where, site)
        if isinstance(said, Sited):
            yield from only_on_tenants(said, where)
        elif said is not None:
            yield Problem("is not a mapping", where, site)


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


def owner_of(problem: Problem, tenants: Mapping[str, object]) -> str | None:
    """Return the tenant within whose settings a problem stands, if it stands within one."""
    top, *steps = problem.path.split(".")
    # A name may have dots, so that the longest one that fits is meant.
    names = (".".join(steps[:end]) for end in range(len(steps), 0, -1))
    return next((name for name in names if top == "tenants" and name in tenants), None)
