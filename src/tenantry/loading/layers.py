"""Layers become one mapping per tenant: defaults < profiles < tenant < endpoint < variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenantry.errors import Problem
from tenantry.loading.environment import inherited
from tenantry.loading.problems import nearest
from tenantry.loading.values import Sited
from tenantry.settings.tenant import AZURE_ONLY, OPENAI_ONLY, SLOTS, TIMEOUT_PARTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MERGED_KEY_BY_KEY = frozenset(
    {"timeout", "pool", "refresh", "tls", "default_headers", "default_query", "labels"}
)
# Keys that say how layers are found, not what the tenant is.
NOT_SETTINGS = frozenset({"profile", "endpoints"})


def layered(layers: Iterable[Sited], problems: list[Problem]) -> Sited:
    """Merge layers, farthest first, with the place of every value kept."""
    result = Sited()
    for layer in layers:
        _displace(result, layer, problems)
        for key, value in layer.items():
            if key not in NOT_SETTINGS:
                _lay(result, key, value, layer)
        result.site = layer.site
    return result


def _displace(result: Sited, layer: Sited, problems: list[Problem]) -> None:
    """Let a layer that fills a slot displace what farther layers put there."""
    for slot in SLOTS:
        said = [key for key in slot if layer.get(key) is not None]
        if len(said) > 1:
            message = f"{said[0]} and {said[1]} say the same thing twice: keep one of them"
            hint = f"{said[0]} is said at {layer.sites[said[0]]}"
            problems.append(Problem(message, said[1], layer.sites[said[1]], hint))
        if said:
            for key in slot:
                result.take(key)


def _lay(result: Sited, key: str, value: Any, layer: Sited) -> None:
    site = layer.sites[key]
    if key == "timeout":
        value = _timeout_parts(value, layer)
    if key in MERGED_KEY_BY_KEY and isinstance(value, Sited):
        before = result.get(key)
        result.put(key, _merged(before, value, key) if isinstance(before, Sited) else value, site)
    elif value is None:
        result.take(key)
    else:
        result.put(key, value, site)


def _timeout_parts(value: Any, layer: Sited) -> Any:
    """A bare number, or null for no limit, is said of all four parts."""
    if isinstance(value, Sited):
        return value
    site = layer.sites["timeout"]
    parts = Sited(site)
    for part in TIMEOUT_PARTS:
        parts.put(part, value, site)
    return parts


def _merged(farther: Sited, nearer: Sited, key: str) -> Sited:
    result = farther.copy()
    result.site = nearer.site
    for inner, value in nearer.items():
        if key == "default_headers":
            for same in [name for name in result if name.casefold() == inner.casefold()]:
                result.take(same)
        if value is None and key != "timeout":
            result.take(inner)
        else:
            result.put(inner, value, nearer.sites[inner])
    return result


class Profiles:
    """The profiles of one configuration, unfolded: a profile may name profiles."""

    def __init__(self, profiles: Mapping[str, Any], problems: list[Problem]) -> None:
        self._profiles = profiles
        self._unfolded: dict[str, tuple[Sited, ...]] = {}
        for name in profiles:
            self._unfold(name, (), problems)

    def layers(self, layer: Sited, path: str, problems: list[Problem]) -> list[Sited]:
        """Return the layers of the profiles that `layer` names, farthest first."""
        found: list[Sited] = []
        for name in profile_names(layer):
            if name in self._profiles:
                found += self._unfolded.get(name, ())
            else:
                problems.append(self._unknown(name, layer, path))
        return found

    def _unknown(self, name: str, layer: Sited, path: str) -> Problem:
        where = f"{path}.profile" if path else "profile"
        hint = nearest(name, self._profiles)
        return Problem(f"unknown profile {name!r}", where, layer.sites.get("profile"), hint)

    def _unfold(self, name: str, outer: tuple[str, ...], problems: list[Problem]) -> None:
        if name in self._unfolded:
            return
        profile = self._profiles[name]
        if not isinstance(profile, Sited):
            self._unfolded[name] = ()
            return
        for parent in profile_names(profile):
            if parent in (*outer, name):
                circle = " -> ".join((*outer, name, parent))
                site = profile.sites.get("profile")
                message = f"profiles go round in a circle: {circle}"
                problems.append(Problem(message, f"profiles.{name}.profile", site))
                self._unfolded[name] = (profile,)
                return
            if parent in self._profiles:
                self._unfold(parent, (*outer, name), problems)
        parents = self.layers(profile, f"profiles.{name}", problems)
        self._unfolded[name] = (*parents, profile)


def profile_names(layer: Sited) -> list[str]:
    """Return the profiles that a layer names: one, several or none."""
    said = layer.get("profile")
    if said is None:
        return []
    return [str(name) for name in said] if isinstance(said, list) else [str(said)]


class Stack:
    """What lies under and over every tenant of one configuration."""

    def __init__(
        self,
        base: Sited,
        defaults: Sited,
        profiles: Profiles,
        environ: Mapping[str, str],
    ) -> None:
        self._base = base
        self._defaults = defaults
        self._profiles = profiles
        self._environ = environ

    def tenant(
        self, path: str, said: Sited, over: Sited, endpoint: str, problems: list[Problem]
    ) -> Sited:
        """Merge everything that speaks of one tenant, or of one endpoint of it."""
        layers = [*self._profile_layers(path, said, over, problems), said]
        if endpoint:
            nearer = said["endpoints"][endpoint] or Sited(said.sites["endpoints"])
            layers += self._profiles.layers(nearer, f"{path}.endpoints.{endpoint}", problems)
            layers.append(nearer)
        layers.append(over)
        if endpoint and isinstance(over.get("endpoints"), Sited):
            layers.append(over["endpoints"].get(endpoint) or Sited(over.site))
        return self._with_defaults(layers, said, problems)

    def _profile_layers(
        self, path: str, said: Sited, over: Sited, problems: list[Problem]
    ) -> list[Sited]:
        nearest = next((layer for layer in (over, said) if "profile" in layer), self._defaults)
        return self._profiles.layers(nearest, path, problems)

    def _with_defaults(self, layers: list[Sited], said: Sited, problems: list[Problem]) -> Sited:
        provider = _provider([self._defaults, *layers])
        defaults = _without(self._defaults, OPENAI_ONLY if provider == "azure" else AZURE_ONLY)
        farther = [self._base, defaults]
        if any(layer.get("inherit_environment") is True for layer in layers):
            farther.append(inherited(self._environ, provider))
        result = layered([*farther, *layers], problems)
        result.site = said.site
        return result


def _provider(layers: list[Sited]) -> str:
    said = [layer["provider"] for layer in layers if layer.get("provider") is not None]
    return "azure" if said and said[-1] == "azure" else "openai"


def _without(layer: Sited, keys: frozenset[str]) -> Sited:
    """Defaults may speak to both providers: what is not for this tenant's is left out."""
    if not any(key in layer for key in keys):
        return layer
    twin = layer.copy()
    for key in keys:
        twin.take(key)
    return twin
