"""Which files make a configuration, and their union into one document."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenantry.errors import Problem, Site
from tenantry.loading.values import Sited
from tenantry.loading.yaml import read_yaml

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
        elif entry.suffix in _ENDINGS:
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
            found = find_files(path)
            if not found:
                message = "no *.yaml or *.yml file below this directory"
                self._problems.append(Problem(message, site=Site(str(path))))
            for file in found:
                only_tenants = path.is_dir() and file.name != MAIN_FILE
                self._unite(document, self._read(file), only_tenants=only_tenants)
        return document

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
        try:
            return file.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            reason = f"is not UTF-8: byte {error.start} cannot be read"
        except FileNotFoundError:
            reason = "there is no such file"
        except OSError as error:
            reason = f"cannot be read: {error.strerror}"
        self._problems.append(Problem(reason, site=Site(str(file))))
        return None

    def _unite(self, document: Sited, part: Sited, *, only_tenants: bool) -> None:
        for key, value in part.items():
            site = part.sites[key]
            if key == "tenants" and isinstance(value, Sited):
                self._unite_tenants(document, value, site)
            elif key.startswith("x-"):
                continue
            elif only_tenants:
                message = f"{key!r} stands in {MAIN_FILE}; other files hold `tenants` only"
                self._problems.append(Problem(message, site=site))
            elif key in document:
                message = f"{key!r} was said before, at {document.sites[key]}"
                self._problems.append(Problem(message, site=site))
            else:
                document.put(key, value, site)

    def _unite_tenants(self, document: Sited, tenants: Sited, site: Site) -> None:
        if not isinstance(document.get("tenants"), Sited):
            document.put("tenants", Sited(site), site)
        united: Sited = document["tenants"]
        for name, said in tenants.items():
            if name in united:
                message = f"tenant {name!r} was said before, at {united.sites[name]}"
                problem = Problem(message, f"tenants.{name}", tenants.sites[name])
                self._problems.append(problem)
            else:
                united.put(name, said, tenants.sites[name])
