"""Layers become one mapping per tenant: defaults < profiles < tenant < endpoint < variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tenantry.errors import Problem
from tenantry.loading.inherited import inherited, inherited_connection
from tenantry.loading.problems import nearest
from tenantry.loading.values import Sited
from tenantry.settings.tenant import AZURE_ONLY, OPENAI_ONLY, SLOTS, TIMEOUT_PARTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MERGED_KEY_BY_KEY = frozenset(
    {"timeout", "pool", "refresh", "tls", "default_headers", "default_query", "labels"}
)
# Keys that say how layers are found, not what the tenant is.
SHOWN = 10  # of names that a hint lists
NOT_SETTINGS = frozenset({"profile", "endpoints"})


_SLOT_KEYS = frozenset(key for slot in SLOTS for key in slot)
# Of all other keys the nearest value stands as it is.
_SPECIAL = MERGED_KEY_BY_KEY | NOT_SETTINGS


def layered(layers: Iterable[Sited]) -> Sited:
    """Merge layers, farthest first, with the place of every value kept."""
    result = Sited()
    for layer in layers:
        lay(result, layer)
    return result


def lay(result: Sited, layer: Sited) -> None:
    """Lay one more layer over what is merged so far."""
    result.move_to(layer.file)
    result.place = layer.place
    if not _SLOT_KEYS.isdisjoint(layer):
        _displace(result, layer)
    for key, value in layer.items():
        if value is None or key in _SPECIAL:
            _lay(result, key, value, layer)
        else:
            result[key] = value
            result.places[key] = layer.places[key]


def said_twice(layer: Sited, path: str) -> Iterator[Problem]:
    """Find what one layer says twice: two keys of one slot, one header in two spellings."""
    for slot in () if _SLOT_KEYS.isdisjoint(layer) else SLOTS:
        first, *others = [key for key in slot if layer.get(key) is not None] or [""]
        for key in others:
            message = f"{first} and {key} say the same thing twice: keep one of them"
            hint = f"{first} is said at {layer.sites[first]}"
            yield Problem(message, f"{path}.{key}", layer.sites[key], hint)
    headers = layer.get("default_headers")
    if not isinstance(headers, Sited) or len(headers) == 1:
        return
    seen: dict[str, str] = {}
    for name in headers:
        first = seen.setdefault(name.casefold(), name)
        if first != name:
            message = f"{first} and {name} are the same header: keep one of them"
            yield Problem(message, f"{path}.default_headers.{name}", headers.sites[name])


def only_on_tenants(layer: Sited, path: str) -> Iterator[Problem]:
    """Find what a layer that is not a tenant's own says, and only a tenant may say."""
    for key in ("inherit_environment", "endpoints"):
        if key in layer:
            message = f"{key} is said of a tenant only"
            yield Problem(message, f"{path}.{key}", layer.sites[key])


def _displace(result: Sited, layer: Sited) -> None:
    """Let a layer that fills a slot displace what farther layers put there."""
    for slot in SLOTS:
        if any(layer.get(key) is not None for key in slot):
            for key in slot:
                result.take(key)


def _lay(result: Sited, key: str, value: Any, layer: Sited) -> None:
    if key in NOT_SETTINGS:
        return
    if key == "timeout" and not isinstance(value, Sited):
        value = _timeout_parts(value, layer)
    if value is None:
        result.take(key)
        return
    if isinstance(value, Sited):
        before = result.get(key)
        value = _merged(before if isinstance(before, Sited) else Sited(), value, key)
    result[key] = value
    result.places[key] = layer.places[key]


def _timeout_parts(value: Any, layer: Sited) -> Sited:
    """A bare number, or null for no limit, is said of all four parts."""
    parts = Sited.within(layer.file, layer.places["timeout"])
    for part in TIMEOUT_PARTS:
        parts[part] = value
        parts.places[part] = parts.place
    return parts


def _merged(farther: Sited, nearer: Sited, key: str) -> Sited:
    if not farther and None not in nearer.values():
        return nearer
    result = farther.copy()
    result.move_to(nearer.file)
    result.place = nearer.place
    for inner, value in nearer.items():
        if key == "default_headers":
            for same in [name for name in result if name.casefold() == inner.casefold()]:
                result.take(same)
        if value is None and key != "timeout":
            result.take(inner)
        else:
            result[inner] = value
            result.places[inner] = nearer.places[inner]
    return result


class Profiles:
    """The profiles of one configuration, unfolded: a profile may name profiles."""

    def __init__(self, profiles: Mapping[str, Any], problems: list[Problem]) -> None:
        self._profiles = profiles
        self._unfolded: dict[str, tuple[Sited, ...]] = {}
        for name in profiles:
            self._unfold(name, (), problems)

    def layers(self, layer: Sited, path: str, problems: list[Problem]) -> tuple[Sited, ...]:
        """Return the layers of the profiles that `layer` names, farthest first."""
        if "profile" not in layer:
            return ()
        found: list[Sited] = []
        for name in profile_names(layer):
            if name in self._profiles:
                found += self._unfolded.get(name, ())
            else:
                problems.append(self._unknown(name, layer, f"{path}.profile"))
        return tuple(found)

    def each(self) -> Iterator[tuple[str, Sited]]:
        """Return what every profile itself says, by its path."""
        for name, profile in self._profiles.items():
            if isinstance(profile, Sited):
                yield f"profiles.{name}", profile

    def _unknown(self, name: str, layer: Sited, path: str) -> Problem:
        site = layer.sites.get("profile")
        if not name:
            return Problem("is the name of a profile, or a list of names", path, site)
        hint = nearest(name, self._profiles) or _declared(self._profiles)
        return Problem(f"unknown profile {name!r}", path, site, hint)

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


def _declared(profiles: Mapping[str, Any]) -> str:
    if not profiles:
        return "none is declared: add it under the top-level key `profiles`"
    return f"declared are {', '.join(sorted(profiles)[:SHOWN])}"


def profile_names(layer: Sited) -> list[str]:
    """Return the profiles that a layer names: one, several or none; "" for what is no name."""
    said = layer.get("profile")
    if said is None:
        return []
    names: list[object] = said if isinstance(said, list) else [said]
    return [str(name) if isinstance(name, (str, int, float)) else "" for name in names]


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
        self._unders: dict[tuple[tuple[int, ...], bool], _Under] = {}

    def tenant(
        self, path: str, said: Sited, over: Sited, endpoint: str, problems: list[Problem]
    ) -> Sited:
        """Merge everything that speaks of one tenant, or of one endpoint of it."""
        farther = self._profile_layers(path, said, over, problems)
        nearer, variables = [said], [over]
        own = [(path, said), (path, over)]
        if endpoint:
            within = f"{path}.endpoints.{endpoint}"
            inner, inner_over = (_endpoint(layer, endpoint) for layer in (said, over))
            naming = inner_over if "profile" in inner_over else inner
            nearer += [*self._profiles.layers(naming, within, problems), inner]
            variables.append(inner_over)
            own += [(within, inner), (within, inner_over)]
        for where, layer in own:
            if layer:
                problems += said_twice(layer, where)
        result = self._with_defaults(farther, [*nearer, *variables], problems)
        result.move_to(said.file)
        result.place = said.place
        return result

    def _profile_layers(
        self, path: str, said: Sited, over: Sited, problems: list[Problem]
    ) -> tuple[Sited, ...]:
        naming = next((layer for layer in (over, said) if "profile" in layer), None)
        if naming is None:
            return self._profiles.layers(self._defaults, "defaults", problems)
        return self._profiles.layers(naming, path, problems)

    def faults(self) -> list[Problem]:
        """Return what is wrong with the layers that are not a tenant's own."""
        neutral = without(self._defaults, AZURE_ONLY | OPENAI_ONLY)
        found = list(said_twice(neutral, "defaults"))
        self._profiles.layers(self._defaults, "defaults", found)
        for path, layer in self.shared():
            found += only_on_tenants(layer, path)
        for path, profile in self._profiles.each():
            found += said_twice(profile, path)
        return found

    def shared(self) -> Iterator[tuple[str, Sited]]:
        """Return the layers that are not a tenant's own, by their path."""
        yield "defaults", self._defaults
        yield from self._profiles.each()

    def _with_defaults(
        self, farther: tuple[Sited, ...], nearer: list[Sited], problems: list[Problem]
    ) -> Sited:
        layers = [*farther, *nearer]
        azure = _nearest("provider", [self._defaults, *layers]) == "azure"
        under = self._under(farther, azure=azure)
        problems += under.problems
        if _nearest("inherit_environment", layers) is True:
            return self._inheriting(layers, azure=azure)
        result = under.beneath(nearer[0])
        for layer in nearer:
            if layer:
                lay(result, layer)
        return result

    def _under(self, profiles: tuple[Sited, ...], *, azure: bool) -> _Under:
        """Merge what tenants have in common once; thousands lie over the same few profiles."""
        key = (tuple(map(id, profiles)), azure)
        if key not in self._unders:
            defaults = without(self._defaults, OPENAI_ONLY if azure else AZURE_ONLY)
            merged = layered([self._base, defaults, *profiles])
            problems = tuple(said_twice(defaults, "defaults"))
            self._unders[key] = _Under(merged, merged.copy(), problems)
            self._unders[key].elsewhere.move_to("")
        return self._unders[key]

    def _inheriting(self, layers: list[Sited], *, azure: bool) -> Sited:
        defaults = without(self._defaults, OPENAI_ONLY if azure else AZURE_ONLY)
        farther = [self._base, defaults, inherited(self._environ, "azure" if azure else "openai")]
        so_far = layered([*farther, *layers])
        return layered([*farther, inherited_connection(self._environ, so_far), *layers])


class _Under(NamedTuple):
    """What lies under many tenants, merged, and what is wrong with it."""

    merged: Sited
    elsewhere: Sited  # the same for tenants of other files: all its places are made
    problems: tuple[Problem, ...]

    def beneath(self, said: Sited) -> Sited:
        return (self.merged if said.file == self.merged.file else self.elsewhere).copy()


def endpoint_names(*layers: Sited) -> list[str]:
    """Return the endpoints that any of a tenant's layers names."""
    said = (layer.get("endpoints") for layer in layers)
    return list(dict.fromkeys(name for each in said if isinstance(each, Sited) for name in each))


def _endpoint(layer: Sited, name: str) -> Sited:
    endpoints = layer.get("endpoints")
    found = endpoints.get(name) if isinstance(endpoints, Sited) else None
    return found if isinstance(found, Sited) else Sited(layer.site)


def _nearest(key: str, layers: list[Sited]) -> object:
    return next((layer[key] for layer in reversed(layers) if key in layer), None)


def without(layer: Sited, keys: frozenset[str]) -> Sited:
    """Defaults may speak to both providers: what is not for this tenant's is left out."""
    if not any(key in layer for key in keys):
        return layer
    twin = layer.copy()
    for key in keys:
        twin.take(key)
    return twin
