"""YAML becomes values with positions, in one pass over the events of libyaml.

Scalars are those of YAML 1.2's core schema: `no`, dates and `12:30` stay text. Duplicate keys are
problems that name both places. Aliases share what they point at; how much they may blow a document
up to is bounded.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from tenantry.errors import Problem, Site
from tenantry.loading.values import Sited, place_at

if TYPE_CHECKING:
    from collections.abc import Callable

    # What becomes of each text: `${NAME}` is filled in, in files.
    Expand = Callable[[str, Site], str]

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

MAX_DEPTH = 64
MAX_NODES = 5_000_000

_CONSTANTS: dict[str, bool | None] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# As many digits as a float can hold; what is longer stays text, so that no digit is lost.
_INTEGER = re.compile(r"[-+]?[0-9]{1,300}|0o[0-7]{1,20}|0x[0-9a-fA-F]{1,16}")
_FLOAT = re.compile(
    r"[-+]?(?:(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]{1,3})?|[0-9]+[eE][-+]?[0-9]{1,3})"
)
_NUMERIC_START = frozenset("+-.0123456789")


def read_yaml(
    text: str, file: str, problems: list[Problem], *, expand: Expand | None = None
) -> object:
    """Read one YAML document; what is wrong is added to `problems`.

    Returns mappings as `Sited`, sequences as lists. None for an empty or broken document.
    """
    try:
        return _Builder(file, problems, expand).build(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if mark is not None and mark.index >= len(text.rstrip()) and error.context_mark is not None:
            mark = error.context_mark  # what was never closed begins there
        site = Site(file, mark.line + 1, mark.column + 1) if mark is not None else Site(file)
        said = " ".join(part for part in (error.context, error.problem) if part)
        problems.append(Problem(f"not YAML: {said}", site=site, hint=_syntax_hint(text, site)))
    except yaml.reader.ReaderError as error:
        site = site_of_byte(text.encode(errors="replace"), error.position, file)
        problems.append(Problem(f"not YAML: {error.reason}", site=site))
    except UnicodeEncodeError as error:  # a variable whose bytes are not UTF-8
        problems.append(Problem(f"not YAML: {error.reason}", site=Site(file)))
    except _TooMuchError as error:
        problems.append(Problem(str(error), site=error.site))
    return None


def site_of_byte(content: bytes, position: int, file: str) -> Site:
    """Return the line and column at which a byte of a file stands."""
    before = content[:position].decode(errors="replace")
    return Site(file, before.count("\n") + 1, len(before) - before.rfind("\n"))


def _syntax_hint(text: str, site: Site) -> str:
    lines = text.splitlines()
    around = "".join(lines[max(0, site.line - 2) : site.line])
    if "\t" in around:
        return "indent with spaces, not with tabs"
    if "${" in around or "{tenant}" in around or "{labels." in around:
        return 'quote it: "${NAME}", "{tenant}"'
    return ""


class _TooMuchError(Exception):
    def __init__(self, message: str, site: Site) -> None:
        super().__init__(message)
        self.site = site


class _Anchored(NamedTuple):
    """What an alias stands for, how many values that is, and how deep they are nested."""

    value: object
    size: int
    height: int


class _Builder:
    """Builds one document; `_path` has the keys of the open mappings, outermost first."""

    def __init__(self, file: str, problems: list[Problem], expand: Expand | None) -> None:
        self._file = file
        self._problems = problems
        self._expand = expand
        self._anchors: dict[str, _Anchored] = {}
        self._path: list[str] = []
        self._words: dict[str, str] = {}  # ten thousand tenants say the same few keys
        self._nodes = 0
        self._deepest = 0

    def build(self, text: str) -> object:
        loader = Loader(text)
        self._next: Callable[[], Any] = loader.get_event
        try:
            root = None
            documents = 0
            while (event := self._next()) is not None:
                if type(event) is yaml.DocumentStartEvent:
                    documents += 1
                    if documents > 1:
                        message = "a second document starts here: one file is one document"
                        raise _TooMuchError(message, self._site(event))
                    root = self._node(self._next(), 0)
            return root
        finally:
            loader.dispose()

    def _site(self, event: Any) -> Site:
        mark = event.start_mark
        return Site(self._file, mark.line + 1, mark.column + 1)

    def _node(self, event: Any, depth: int) -> object:
        kind = type(event)
        if kind is _Alias:
            return self._alias(event, depth)
        if kind is not _Scalar:
            return self._collection(event, depth + 1)
        value = self._scalar(event)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchored(value, 1, 0)
        return value

    def _collection(self, event: Any, depth: int) -> object:
        read = self._mapping if type(event) is yaml.MappingStartEvent else self._sequence
        if event.anchor is None:
            self._descend(depth, event)
            return read(event, depth)
        nodes, deepest = self._nodes, self._deepest
        self._deepest = 0
        self._descend(depth, event)
        value = read(event, depth)
        size, height = self._nodes - nodes, self._deepest - depth + 1
        self._anchors[event.anchor] = _Anchored(value, size, height)
        self._deepest = max(deepest, self._deepest)
        return value

    def _descend(self, depth: int, event: Any) -> None:
        if depth > MAX_DEPTH:
            message = f"nested deeper than {MAX_DEPTH} levels, aliases followed"
            raise _TooMuchError(message, self._site(event))
        self._deepest = max(self._deepest, depth)

    def _count(self, nodes: int, event: Any) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            message = f"more than {MAX_NODES} values once aliases are followed"
            raise _TooMuchError(message, self._site(event))

    def _alias(self, event: Any, depth: int) -> object:
        if event.anchor not in self._anchors:
            # It may be a secret that begins with `*` and should have been quoted.
            message = "no anchor of this name (not shown) stands before the alias"
            self._problem(message, self._site(event), "a text that begins with * is quoted")
            return None
        value, size, height = self._anchors[event.anchor]
        self._count(size, event)
        self._descend(depth + height, event)
        return value

    def _problem(self, message: str, site: Site, hint: str = "") -> None:
        self._problems.append(Problem(message, ".".join(self._path), site, hint))

    def _sequence(self, start: Any, depth: int) -> list[object]:
        items: list[object] = []
        while type(event := self._next()) is not yaml.SequenceEndEvent:
            items.append(self._node(event, depth))
        self._count(1 + len(items), start)
        return items

    def _mapping(self, start: Any, depth: int) -> Sited:
        begins = start.start_mark
        result = Sited.within(self._file, place_at(begins.line, begins.column))
        places, path, next_event = result.places, self._path, self._next
        merged: list[object] = []
        while type(event := next_event()) is not _MappingEnd:
            key = self._key(event, depth)
            path.append(key)
            said = next_event()
            plain = type(said) is _Scalar and said.anchor is None
            value = self._scalar(said) if plain else self._node(said, depth)
            if key == "<<" and type(event) is _Scalar and event.implicit[0]:
                merged += value if isinstance(value, list) else [value]
            elif key in places:
                message = f"key {key!r} was said before, at {result.sites[key]}"
                self._problem(message, self._site(event))
            else:
                mark: Any = event.start_mark
                result[key] = value
                places[key] = place_at(mark.line, mark.column)
            path.pop()
        for other in merged:
            self._merge(result, other)
        self._count(1 + 2 * len(places), start)
        return result

    def _key(self, event: Any, depth: int) -> str:
        if type(event) is _Scalar and event.anchor is None:
            # As it is written: a tenant may be called 42, 007 or null.
            text: str = event.value
            return self._text(text, event) if "$" in text else self._words.setdefault(text, text)
        key = self._node(event, depth)
        if isinstance(key, str):
            return key
        if type(event) is _Scalar:
            return str(event.value)
        self._problem("a key is a text: quote it", self._site(event))
        return ""

    def _merge(self, result: Sited, other: object) -> None:
        if not isinstance(other, Sited):
            self._problem("`<<` merges mappings only", result.site)
            return
        for key, value in other.items():
            if key not in result:
                result[key] = value
                result.places[key] = other.places[key]

    def _scalar(self, event: Any) -> object:
        value: str = event.value
        if event.implicit[0]:
            if value in _CONSTANTS:
                return _CONSTANTS[value]
            if value[0] in _NUMERIC_START:
                if _INTEGER.fullmatch(value):
                    return int(value, 0) if value[:2] in ("0x", "0o") else int(value)
                if _FLOAT.fullmatch(value):
                    return float(value)
        return self._text(value, event) if "$" in value else value

    def _text(self, value: str, event: Any) -> str:
        if self._expand is None:
            return value
        before = len(self._problems)
        text = self._expand(value, self._site(event))
        path = ".".join(self._path)
        self._problems[before:] = [replace(each, path=path) for each in self._problems[before:]]
        return text


_Scalar, _Alias, _MappingEnd = yaml.ScalarEvent, yaml.AliasEvent, yaml.MappingEndEvent
