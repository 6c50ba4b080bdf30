"""Which files make a configuration, what they hold at one moment, and their union."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from tenantry.errors import Problem, Site
from tenantry.loading.values import AS_MAPPING, Sited
from tenantry.loading.yaml import read_yaml, site_of_byte

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tenantry.loading.yaml import Expand

MAIN_FILE = "tenantry.yaml"
_ENDINGS = (".yaml", ".yml")
_NO_FILES = "no *.yaml or *.yml file below this directory"

# Of every file its name, device, inode, size and time of change, or why it cannot be looked at.
Signature: TypeAlias = tuple[tuple[str | int, ...], ...]


@dataclass(frozen=True, slots=True)
class File:
    """One file: its bytes, or why they cannot be read."""

    path: Path
    content: bytes = b""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """One path that was asked for: the files there, or why none can be found."""

    path: Path
    files: tuple[File, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Contents:
    """What the files of a configuration held when they were read; equal where all of it is."""

    found: tuple[Found, ...] = ()


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


def read_contents(paths: Iterable[Path]) -> Contents:
    """Read all files below some paths; what cannot be read is part of what is returned."""
    return Contents(tuple(_found(path) for path in paths))


def _found(path: Path) -> Found:
    try:
        files = find_files(path)
    except OSError as error:
        return Found(path, problem=_unreadable(error))
    if not files:
        return Found(path, problem=_NO_FILES)
    return Found(path, tuple(map(_read, files)))


def _read(file: Path) -> File:
    try:
        return File(file, file.read_bytes())
    except FileNotFoundError:
        return File(file, problem="there is no such file")
    except OSError as error:
        return File(file, problem=_unreadable(error))
    except ValueError:  # a path with a zero byte
        return File(file, problem="no file can have this name")


def _unreadable(error: OSError) -> str:
    return f"cannot be read: {error.strerror}"


def signature(paths: Iterable[Path]) -> Signature:
    """Return what is different when a file was; nothing is read, and links are followed.

    So it changes with an atomic rename, and where Kubernetes swaps the directory behind a link.
    """
    return tuple(entry for path in paths for entry in _signed(path))


def _signed(path: Path) -> Iterator[tuple[str | int, ...]]:
    try:
        files = find_files(path)
    except OSError as error:
        yield str(path), str(error.strerror)
        return
    for file in files:
        try:
            at = file.stat()
            yield str(file), at.st_dev, at.st_ino, at.st_size, at.st_mtime_ns
        except OSError as error:
            yield str(file), str(error.strerror)
        except ValueError as error:
            yield str(file), str(error)


class Reader:
    """Reads contents into one document and remembers their texts, for problems to show."""

    def __init__(self, problems: list[Problem], expand: Expand) -> None:
        self._problems = problems
        self._expand = expand
        self._texts: dict[str, str] = {}
        self._lines: dict[str, list[str]] = {}
        self.files: list[Path] = []

    def read(self, contents: Contents) -> Sited:
        """Read every file into one document."""
        document = Sited()
        for found in contents.found:
            if found.problem:
                self._problems.append(Problem(found.problem, site=Site(str(found.path))))
            for file in found.files:
                only_tenants = file.path != found.path and file.path.name != MAIN_FILE
                self._unite(document, self._read(file), only_tenants=only_tenants)
        return document

    def lines(self, file: str) -> list[str]:
        """Return the lines of a file that was read; none for what is no file."""
        if file not in self._lines:
            self._lines[file] = self._texts.get(file, "").splitlines()
        return self._lines[file]

    def _read(self, file: File) -> Sited:
        self.files.append(file.path)
        name = str(file.path)
        text = self._text(file)
        if text is None:
            return Sited()
        self._texts[name] = text
        value = read_yaml(text, name, self._problems, expand=self._expand)
        if value is None:
            return Sited(Site(name))
        if not isinstance(value, Sited):
            message = "a configuration is a mapping with keys such as `tenants`"
            self._problems.append(Problem(message, site=Site(name, 1, 1)))
            return Sited()
        return value

    def _text(self, file: File) -> str | None:
        reason, site = file.problem, Site(str(file.path))
        try:
            if not reason:
                return file.content.removeprefix(codecs.BOM_UTF8).decode()
        except UnicodeDecodeError as error:
            reason = "is not UTF-8: this byte cannot be read"
            site = site_of_byte(error.object, error.start, str(file.path))
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
            self._problems.append(Problem("is not a mapping", "tenants", site, AS_MAPPING))
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
