"""All tenants that files and variables name: who is usable, who is broken, who is disabled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from tenantry.errors import Problem
from tenantry.loading.allow import OwnPlaces
from tenantry.loading.layers import layered
from tenantry.loading.problems import found_by
from tenantry.loading.tenants import fault_of
from tenantry.loading.values import AS_MAPPING, Sited
from tenantry.settings import TenantSettings, folded
from tenantry.settings.tenant import TENANT_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenantry.errors import Site
    from tenantry.loading.layers import Stack
    from tenantry.loading.tenants import Fault, Tenant, TenantReader
    from tenantry.settings import References

_NOTHING = Sited()
_BOOL = TypeAdapter(bool)


class Roster:
    """Everybody whom one configuration names.

    `folded` has every name by what no two of them may share, `disabled` those who say
    `enabled: false`, the broken ones among them too.
    """

    def __init__(self, reader: TenantReader, problems: list[Problem]) -> None:
        self._reader = reader
        self._problems = problems
        self._shared: set[Fault] = set()  # faults that every tenant would repeat
        self.usable: dict[str, Tenant] = {}
        self.broken: dict[str, list[Problem]] = {}
        self.disabled: set[str] = set()
        self.folded: dict[str, str] = {}

    def check_shared(self, stack: Stack, references: References) -> None:
        """Find what is wrong with defaults and profiles themselves, whoever uses them."""
        found = stack.faults()
        for path, layer in stack.shared():
            merged = layered([layer])
            try:
                TenantSettings.model_validate(merged, context=references)
            except ValidationError as error:
                # What stands at no key, such as a missing credential, is for tenants to mend.
                problems = found_by(error, merged, path, TenantSettings)
                found += [problem for problem in problems if problem.path != path]
        self._problems += found
        self._shared = {fault_of(problem) for problem in self._problems}

    def read(self, tenants: Sited, over: Sited) -> None:
        self._check_names(tenants, over)
        for name in [*tenants, *(name for name in over if name not in tenants)]:
            problems: list[Problem] = []
            tenant = self._tenant(name, tenants, over, problems)
            if tenant is not None and not problems:
                self.usable[name] = tenant
            else:
                self.broken[name] = [
                    each for each in problems if fault_of(each) not in self._shared
                ]
            if tenant is not None and not tenant.settings.enabled:
                self.disabled.add(name)

    def _check_names(self, tenants: Sited, over: Sited) -> None:
        for name in [*tenants, *over]:
            twin = self.folded.setdefault(folded(name), name)
            if twin != name:
                message = (
                    f"{name!r} and {twin!r} are the same name once case and `-_.` are folded:"
                    " two tenants could meet in one variable or file"
                )
                hint = f"{twin!r} is at {_site(twin, tenants, over)}"
                site = _site(name, tenants, over)
                self._problems.append(Problem(message, f"tenants.{name}", site, hint))

    def _tenant(
        self, name: str, tenants: Sited, over: Sited, problems: list[Problem]
    ) -> Tenant | None:
        path = f"tenants.{name}"
        own: list[Sited] = []
        for layer in (tenants, over):
            said = layer.get(name)
            if said is not None and not isinstance(said, Sited):
                problems.append(Problem("is not a mapping", path, layer.sites[name], AS_MAPPING))
                said = None
            own.append(_NOTHING if said is None else said)
        said, spoken_over = own
        if said is _NOTHING:
            said = Sited(_site(name, tenants, over))
        if problem := misnamed(name, _site(name, tenants, over)):
            problems[:] = [problem]
        elif not problems:
            spoken = OwnPlaces(said, spoken_over)
            tenant = self._reader.read(name, said, spoken_over, spoken, problems)
            if tenant is not None:
                return tenant
        if _says_disabled(self._reader.merged(name, said, spoken_over, "", [])):
            self.disabled.add(name)
        return None


def misnamed(name: str, site: Site) -> Problem | None:
    """Return what is wrong with a tenant's name."""
    if TENANT_NAME.fullmatch(name) and ".." not in name:
        return None
    message = "a tenant's name is 1 to 128 letters, digits and ._- without `..`"
    return Problem(message, f"tenants.{name}", site)


def _site(name: str, tenants: Sited, over: Sited) -> Site:
    return tenants.sites.get(name) or over.sites[name]


def _says_disabled(merged: Sited) -> bool:
    try:
        return not _BOOL.validate_python(merged.get("enabled", True))
    except ValidationError:
        return False


def owner_of(problem: Problem, tenants: Mapping[str, object]) -> str | None:
    """Return the tenant within whose settings a problem stands, if it stands within one."""
    top, *steps = problem.path.split(".")
    # A name may have dots, so that the longest one that fits is meant.
    names = (".".join(steps[:end]) for end in range(len(steps), 0, -1))
    return next((name for name in names if top == "tenants" and name in tenants), None)
