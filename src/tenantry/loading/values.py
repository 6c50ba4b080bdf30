"""Values that know where they were said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    """Return a plain value with `Sited` mappings in place of others."""
    if isinstance(value, Sited):
        return value
    if isinstance(value, Mapping):
        result = Sited(site)
        for key, inner in value.items():
            result.put(str(key), sited(inner, site), site)
        return result
    if isinstance(value, (list, tuple)):
        return [sited(inner, site) for inner in value]
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
        else:
            break
    return found
