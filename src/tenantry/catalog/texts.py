"""Tenants of an engine as YAML: read from files, and written so that nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from tenantry.errors import ConfigError, Problem, Site
from tenantry.loading import read_contents
from tenantry.loading.files import Reader
from tenantry.loading.problems import with_excerpts
from tenantry.loading.values import AS_MAPPING, Sited
from tenantry.loading.yaml import read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_UNFOLDED = 2**31 - 1  # columns of a line


class FileTenants:
    """What files say under `tenants`, as it stands there: nothing is filled in or merged.

    Raises:
        ConfigError: with every problem of reading them.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        problems: list[Problem] = []
        # `${...}` stays as it is, for rows to refuse: its value may be a secret.
        self._reader = Reader(problems, lambda text, _: text)
        document = self._reader.read(read_contents(paths))
        self.others = [key for key in document if key != "tenants"]
        tenants: Sited = document.get("tenants", Sited())
        self.said = {name: _mapping(name, tenants, problems) for name in tenants}
        self.raise_any(problems)

    def raise_any(self, problems: list[Problem]) -> None:
        """Raise problems, if there are any, with the lines that they name."""
        if problems:
            files = {problem.site.file for problem in problems if problem.site}
            texts = {file: self._reader.lines(file) for file in files}
            raise ConfigError(*with_excerpts(problems, texts))


def _mapping(name: str, tenants: Sited, problems: list[Problem]) -> Sited:
    said = tenants[name]
    if isinstance(said, Sited):
        return said
    if said is not None:
        message = Problem("is not a mapping", f"tenants.{name}", tenants.sites[name], AS_MAPPING)
        problems.append(message)
    return Sited(tenants.sites[name])


def read_tenant(text: str, file: str, name: str) -> Sited:
    """Return what one tenant says, from what would stand under its name.

    Raises:
        ConfigError: it cannot be read.
    """
    problems: list[Problem] = []
    said = read_yaml(text, file, problems)
    tenants = Sited(Site(file))
    tenants.put(name, said, Site(file, 1, 1))
    read = _mapping(name, tenants, problems)
    if problems:
        raise ConfigError(*with_excerpts(problems, {file: text.splitlines()}))
    return read


HEAD = "tenants:\n"


def tenant_text(name: str, said: Mapping[str, Any]) -> str:
    """Return a tenant's lines below `HEAD`; whoever reads them finds what was given."""
    text: str = yaml.dump(
        {name: said}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_UNFOLDED
    )
    return "".join(f"  {line}\n" for line in text.removesuffix("\n").split("\n"))


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # either has the same methods
    """Quotes what YAML 1.1, which it writes, and 1.2, which we read, take for different things."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  # PyYAML's own signature
        return True


def _quoted(dumper: Any, text: str) -> Any:
    plain = text.isascii() and text.isprintable() and text[:1].isalpha()
    style = None if plain else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _quoted)
