"""Values that know where they were said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from typing import Any

from pydantic import BaseModel

from tenantry.errors import Site

CODE = Site("in code")


class Sited(dict[str, Any]):
    """A mapping of the configuration; `sites` has the place of each key, `site` its own."""

    __slots__ = ("site", "sites")

    def __init__(self, site: Site = CODE) -> None:
        super().__init__()
        self.site = site
        self.sites: dict[str, Site] = {}

    def put(self, key: str, value: object, site: Site) -> None:
        self[key] = value
        self.sites[key] = site

    def take(self, key: str) -> None:
        self.pop(key, None)
        self.sites.pop(key, None)

    def copy(self) -> Sited:
        """Return a mapping of its own that shares the values."""
        twin = Sited(self.site)
        twin.update(self)
        twin.sites.update(self.sites)
        return twin


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
