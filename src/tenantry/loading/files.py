"""Which files make a configuration, and their union into one document."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from tenantry.errors import Problem, Site
from tenantry.loading.values import Sited
from tenantry.loading.yaml import read_yaml, site_of_byte

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tenantry.loading.yaml import Expand

MAIN_FILE = "tenantry.yaml"
_ENDINGS = (".yaml", ".yml")


def find_files(path: Path) -> list[Path]:
    """Return the files of a configuration: the file itself, or those below a directory, sorted.

    Below directories whose names begin with a dot, and through links to directories, nothing is
    looked for: a mounted ConfigMap would be read twice.
    """
    return sorted(_below(path)) if path.is_dir() else [path]


def _below(directory: Path) -> Iterator[Path]:
    for entry in directory.iterdir():
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            if not entry.is_symlink():
                yield from _below(entry)
        elif entry.suffix in _ENDINGS and (entry.is_file() or entry.is_symlink()):
            yield entry


class Reader:
    """Reads files into one document and remembers their lines, for problems to show."""

    def __init__(self, problems: list[Problem], expand: Expand) -> None:
        self._problems = problems
        self._expand = expand
        self.texts: dict[str, list[str]] = {}
        self.files: list[Path] = []

    def read(self, paths: Iterable[Path]) -> Sited:
        """Read every path, a file or a directory, into one document."""
        document = Sited()
        for path in paths:
            for file in self._find(path):
                only_tenants = file != path and file.name != MAIN_FILE
                self._unite(document, self._read(file), only_tenants=only_tenants)
        return document

    def _find(self, path: Path) -> list[Path]:
        try:
            found = find_files(path)
            message = "no *.yaml or *.yml file below this directory"
        except OSError as error:
            found = []
            message = f"cannot be read: {error.strerror}"
        if not found:
            self._problems.append(Problem(message, site=Site(str(path))))
        return found

    def _read(self, file: Path) -> Sited:
        self.files.append(file)
        text = self._text(file)
        if text is None:
            return Sited()
        self.texts[str(file)] = text.splitlines()
        value = read_yaml(text, str(file), self._problems, expand=self._expand)
        if value is None:
            return Sited(Site(str(file)))
        if not isinstance(value, Sited):
            message = "a configuration is a mapping with keys such as `tenants`"
            self._problems.append(Problem(message, site=Site(str(file), 1, 1)))
            return Sited()
        return value

    def _text(self, file: Path) -> str | None:
        site = Site(str(file))
        try:
            content = file.read_bytes()
            return content.removeprefix(codecs.BOM_UTF8).decode()
        except UnicodeDecodeError as error:
            reason = "is not UTF-8: this byte cannot be read"
            site = site_of_byte(error.object, error.start, str(file))
        except FileNotFoundError:
            reason = "there is no such file"
        except OSError as error:
            reason = f"cannot be read: {error.strerror}"
        self._problems.append(Problem(reason, site=site))
        return None

    def _unite(self, document: Sited, part: Sited, *, only_tenants: bool) -> None:
        for key, value in part.items():
            site = part.sites[key]
            if key == "tenants":
                self._unite_tenants(document, value, site)
            elif key.startswith("x-"):
                continue
            elif only_tenants:
                message = f"{key!r} stands in {MAIN_FILE}; other files hold `tenants` only"
                self._problems.append(Problem(message, key, site))
            elif key in document:
                message = f"{key!r} was said before, at {document.sites[key]}"
                self._problems.append(Problem(message, key, site))
            else:
                document.put(key, value, site)

    def _unite_tenants(self, document: Sited, tenants: object, site: Site) -> None:
        if tenants is None:
            return
        if not isinstance(tenants, Sited):
            self._problems.append(Problem("is not a mapping", "tenants", site))
            return
        if "tenants" not in document:
            document.put("tenants", Sited(site), site)
        united: Sited = document["tenants"]
        for name, said in tenants.items():
            if name in united:
                message = f"tenant {name!r} was said before, at {united.sites[name]}"
                problem = Problem(message, f"tenants.{name}", tenants.sites[name])
                self._problems.append(problem)
            else:
                united.put(name, said, tenants.sites[name])
