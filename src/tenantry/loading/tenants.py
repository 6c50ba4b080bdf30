"""Each tenant's layers become its validated settings; a broken one does not break another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import ValidationError

from tenantry.errors import Problem, UnknownEndpointError
from tenantry.loading.layers import endpoint_names, only_on_tenants
from tenantry.loading.placeholders import filled
from tenantry.loading.problems import found_by
from tenantry.loading.values import AS_MAPPING, Sited
from tenantry.settings import (
    Model,
    PoolSettings,
    ReferenceOptions,
    References,
    RefreshSettings,
    SecretReference,
    TenantSettings,
    TimeoutSettings,
)
from tenantry.settings.tenant import AZURE_ONLY, CREDENTIAL_KEYS, OPENAI_ONLY, TENANT_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tenantry.errors import Site
    from tenantry.loading.allow import Allowance, OwnPlaces
    from tenantry.loading.layers import Stack


@dataclass(frozen=True, slots=True)
class Tenant:
    """One tenant, read whole: its settings, those of its endpoints, and where all was said."""

    name: str
    settings: TenantSettings
    endpoints: Mapping[str, TenantSettings]
    # Merged values with their places, by endpoint; "" is the tenant. A `literal` may be among them.
    said: Mapping[str, Sited] = field(repr=False)

    def at(self, endpoint: str | None) -> TenantSettings:
        """Return the settings of an endpoint; None is the tenant's own address.

        Raises:
            UnknownEndpointError: it has no endpoint of that name.
        """
        if endpoint is None:
            return self.settings
        if endpoint not in self.endpoints:
            raise UnknownEndpointError(self.name, endpoint, tuple(self.endpoints))
        return self.endpoints[endpoint]


class TenantReader:
    """Reads tenants one by one; what it keeps is immutable, so that threads may share it.

    `allowance` says what a tenant itself may point at.
    """

    def __init__(self, stack: Stack, references: References, allowance: Allowance) -> None:
        self._stack = stack
        self._references = references
        self._allowance = allowance
        self._parts = _Parts()

    def read(
        self, name: str, said: Sited, over: Sited, own: OwnPlaces, problems: list[Problem]
    ) -> Tenant | None:
        """Read what lies under, in and over one tenant; what is wrong is added to `problems`."""
        merged: dict[str, Sited] = {}
        settings: dict[str, TenantSettings] = {}
        for layer in (said, over):
            problems += _misshapen_endpoints(layer, f"tenants.{name}")
        for endpoint in ["", *endpoint_names(said, over)]:
            found: list[Problem] = []
            merged[endpoint] = self.merged(name, said, over, endpoint, found)
            read = self._settings(name, merged[endpoint], endpoint, found)
            if read is not None:
                settings[endpoint] = read
                found += self._allowance.disallowed(name, read, merged[endpoint], own)
            # An endpoint repeats the faults of the tenant that it lies over.
            known = {fault_of(problem) for problem in problems} if found else ()
            problems += [problem for problem in found if fault_of(problem) not in known]
        if "" not in settings:
            return None
        return Tenant(name, settings.pop(""), settings, merged)

    def merged(
        self, name: str, said: Sited, over: Sited, endpoint: str, problems: list[Problem]
    ) -> Sited:
        """Merge all layers of one tenant, or of one endpoint of it, with placeholders filled in."""
        merged = self._stack.tenant(f"tenants.{name}", said, over, endpoint, problems)
        return filled(merged, name, problems)

    def _settings(
        self, name: str, merged: Sited, endpoint: str, problems: list[Problem]
    ) -> TenantSettings | None:
        path = f"tenants.{name}" + (f".endpoints.{endpoint}" if endpoint else "")
        try:
            said = self._parts.put_into(merged)
            settings = TenantSettings.model_validate(said, context=self._references)
        except ValidationError as error:
            problems += found_by(error, merged, path, TenantSettings)
            problems += self._missing(error, merged, path)
            return None
        foreign = OPENAI_ONLY if settings.provider == "azure" else AZURE_ONLY
        if not foreign.isdisjoint(merged):
            problems += _of_the_other_provider(foreign, settings.provider, merged, path)
        return settings

    def _missing(self, error: ValidationError, merged: Sited, path: str) -> list[Problem]:
        """Find what is missing, which pydantic looks for only where nothing is wrong."""
        wrong = {str(each["loc"][0]) for each in error.errors(include_url=False) if each["loc"]}
        if "provider" in wrong or not wrong:
            return []
        mended = merged.copy()
        for key in wrong:
            mended.take(key)
            mended.update(_STAND_INS.get(key, {}))
        try:
            TenantSettings.model_validate(mended, context=self._references)
        except ValidationError as second:
            found = found_by(second, mended, path, TenantSettings)
            return [problem for problem in found if problem.path == path]
        return []


class _Parts:
    """Parts of settings that many tenants say alike: read once, and shared by them all."""

    def __init__(self) -> None:
        self._read: dict[object, Model] = {}

    def put_into(self, said: Sited) -> dict[str, Any]:
        """Return what is to be validated, with parts that are right in place of their texts."""
        result: dict[str, Any] = dict(said)
        for key, model in _SHARED_PARTS.items():
            part = said.get(key)
            if isinstance(part, Sited):
                result[key] = self._part(model, part)
        return result

    def _part(self, model: type[Model], part: Sited) -> Model | Sited:
        # 1, 1.0 and true are equal, and not the same.
        alike = (model, *part.items(), *map(type, part.values()))
        try:
            found = self._read.get(alike)
            if found is None:
                found = model.model_validate(part)
                if len(self._read) < _PARTS_KEPT:
                    self._read[alike] = found
        except (TypeError, ValidationError):  # unhashable, or wrong: the whole tenant's errors tell
            return part
        return found


_SHARED_PARTS: dict[str, type[Model]] = {
    "timeout": TimeoutSettings,
    "pool": PoolSettings,
    "refresh": RefreshSettings,
}
_PARTS_KEPT = 10_000


# What stands where something wrong was said, so that it does not count as missing.
_CREDENTIAL = {"admin_api_key": SecretReference("stand-in", ReferenceOptions(), "admin_api_key")}
_ADDRESS = {"base_url": "https://stand-in.invalid"}
_STAND_INS: dict[str, dict[str, Any]] = {
    **dict.fromkeys((*CREDENTIAL_KEYS, "admin_api_key"), _CREDENTIAL),
    **dict.fromkeys(("azure_endpoint", "base_url"), _ADDRESS),
    "api_version": {"api_version": "stand-in"},
}


Fault: TypeAlias = "tuple[str, Site | None]"


def fault_of(problem: Problem) -> Fault:
    """Return what makes a problem the same, whichever path it was met on."""
    return problem.message, problem.site


def _misshapen_endpoints(layer: Sited, path: str) -> Iterator[Problem]:
    endpoints = layer.get("endpoints")
    path = f"{path}.endpoints"
    if not isinstance(endpoints, Sited):
        if endpoints is not None:
            yield Problem("is not a mapping", path, layer.sites["endpoints"], AS_MAPPING)
        return
    for name, said in endpoints.items():
        where, site = f"{path}.{name}", endpoints.sites[name]
        if not TENANT_NAME.fullmatch(name):
            yield Problem("an endpoint's name is 1 to 128 letters, digits and ._-", where, site)
        if isinstance(said, Sited):
            yield from only_on_tenants(said, where)
        elif said is not None:
            yield Problem("is not a mapping", where, site, AS_MAPPING)


def _of_the_other_provider(
    foreign: frozenset[str], provider: str, merged: Sited, path: str
) -> Iterator[Problem]:
    other = "openai" if provider == "azure" else "azure"
    for key in sorted(foreign & merged.keys()):
        message = f"{key} is for `provider: {other}`, and this tenant is {provider}"
        yield Problem(message, f"{path}.{key}", merged.sites[key])
