"""Values that know where they were said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from typing import Any, Self, TypeAlias

from pydantic import BaseModel

from tenantry.errors import Site

CODE = Site("in code")

# Ten thousand tenants say some hundred thousand keys: where in its own file a mapping says a key
# is one number, see `place_at`, and becomes a `Site` when somebody asks.
Place: TypeAlias = int | Site

_COLUMN_BITS = 32


def place_at(line: int, column: int) -> int:
    """Return the place at a line and column, both from 0, of a mapping's own file."""
    return line << _COLUMN_BITS | column


AS_MAPPING = "write NAME: VALUE, a line each below it"  # what to do about what is none


class Sited(dict[str, Any]):
    """A mapping of the configuration; `sites` has the place of each key, `site` its own."""

    __slots__ = ("file", "place", "places")

    def __init__(self, site: Site = CODE) -> None:
        super().__init__()
        self.file = site.file
        self.place: Place = site
        self.places: dict[str, Place] = {}

    @classmethod
    def within(cls, file: str, place: Place) -> Self:
        """Return an empty mapping that begins at a place of a file."""
        values = cls.__new__(cls)
        values.file = file
        values.place = place
        values.places = {}
        return values

    @property
    def site(self) -> Site:
        return self.site_at(self.place)

    @site.setter
    def site(self, site: Site) -> None:
        self.place = site

    @property
    def sites(self) -> Sites:
        return Sites(self)

    def put(self, key: str, value: object, site: Site) -> None:
        self[key] = value
        self.places[key] = site

    def take(self, key: str) -> None:
        self.pop(key, None)
        self.places.pop(key, None)

    def copy(self) -> Sited:
        """Return a mapping of its own that shares the values."""
        twin = Sited.__new__(Sited)
        twin.update(self)
        twin.file = self.file
        twin.place = self.place
        twin.places = self.places.copy()
        return twin

    def move_to(self, file: str) -> None:
        """Become a mapping of another file; what was said elsewhere keeps its place."""
        if file != self.file:
            self.place, self.places = self.site, dict(self.sites)
            self.file = file

    def site_at(self, place: Place) -> Site:
        if isinstance(place, Site):
            return place
        line, column = place >> _COLUMN_BITS, place & (1 << _COLUMN_BITS) - 1
        return Site(self.file, line + 1, column + 1)


class Sites(Mapping[str, Site]):
    """The places of a mapping's keys, as they are at the moment."""

    def __init__(self, values: Sited) -> None:
        self._values = values

    def __getitem__(self, key: str) -> Site:
        return self._values.site_at(self._values.places[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._values.places)

    def __len__(self) -> int:
        return len(self._values.places)


def overlaid(values: Sited, over: Sited) -> Sited:
    """Lay values over others, key by key, each with its place; where both are mappings, inside."""
    result = values.copy()
    for key, value in over.items():
        under = result.get(key)
        if isinstance(value, Sited) and isinstance(under, Sited):
            result[key] = overlaid(under, value)
        else:
            result.put(key, value, over.sites[key])
    return result


def sited(value: object, site: Site = CODE) -> Any:
    """Return a plain value with `Sited` mappings in place of others, models included."""
    # Nothing but a column tells places in code apart; without a line it is not shown.
    return _sited(value, (replace(site, column=number) for number in count(1)))


def _sited(value: object, places: Iterator[Site]) -> Any:
    if isinstance(value, Sited):
        return value
    if isinstance(value, BaseModel):
        value = {name: getattr(value, name) for name in sorted(value.model_fields_set)}
    if isinstance(value, Mapping):
        result = Sited(next(places))
        for key, inner in value.items():
            site = next(places)
            result.put(str(key), _sited(inner, places), site)
        return result
    if isinstance(value, (list, tuple)):
        return [_sited(inner, places) for inner in value]
    return value


def site_of(root: object, path: tuple[str | int, ...]) -> Site | None:
    """Return the nearest known place on the way from `root` along `path`."""
    found = root.site if isinstance(root, Sited) else None
    for step in path:
        if isinstance(root, Sited) and isinstance(step, str):
            found = root.sites.get(step, found)
            root = root.get(step)
        elif isinstance(root, list) and isinstance(step, int) and step < len(root):
            root = root[step]
            found = root.site if isinstance(root, Sited) else found
        elif not isinstance(root, list):  # a list may stand for the mapping that it is in
            break
    return found


def value_at(root: object, path: tuple[str | int, ...], missing: object = None) -> object:
    """Return what was written at `path`, else `missing`."""
    for step in path:
        if isinstance(root, Sited) and step in root:
            root = root[str(step)]
        elif isinstance(root, list) and isinstance(step, int) and step < len(root):
            root = root[step]
        elif not isinstance(root, list):
            return missing
    return root
