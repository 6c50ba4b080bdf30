"""What pydantic found wrong becomes problems with a place, a reason and what to do."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from tenantry.errors import Problem, Site
from tenantry.loading.values import Sited, site_of, value_at
from tenantry.loading.wording import hint_for_unknown, hint_of, keys_at, list_of_keys, reason_of
from tenantry.settings import NestedProblems, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

    Location = tuple[str | int, ...]

__all__ = ["found_by", "nearest", "with_excerpts", "without_repeats"]


def found_by(
    error: ValidationError, values: Sited, path: str, model: type[BaseModel]
) -> list[Problem]:
    """Turn one validation's errors into problems; no value is ever quoted."""
    found = list(dict.fromkeys(_Finding(values, path).unfolded(error, (), model)))
    misspelt = {(_parent(each), each.hint) for each in found}
    return [each for each in found if (_parent(each), _as_hint(each)) not in misspelt]


def _parent(problem: Problem) -> str:
    return problem.path.rpartition(".")[0]


def _as_hint(problem: Problem) -> str | None:
    """Return what the misspelling of a missing key would suggest: one of the two is enough."""
    key = problem.path.rpartition(".")[2]
    return nearest(key, [key]) if problem.message == "is missing" else None


class _Finding:
    """What one validation of `values`, which stand at `path`, found wrong."""

    def __init__(self, values: Sited, path: str) -> None:
        self._values = values
        self._path = path

    def unfolded(
        self, error: ValidationError, within: Location, model: type[BaseModel]
    ) -> Iterator[Problem]:
        items = error.errors(include_input=False, include_url=False)
        implied: set[Location] = set()  # places that stand for several of the model's
        for item in items:
            location = (*within, *item["loc"])
            cause = item.get("ctx", {}).get("error")
            if item["type"] == "too_short" and item["loc"] in (each["loc"][:-1] for each in items):
                continue  # it is short of what was wrong in it, which is told
            if isinstance(cause, NestedProblems):
                yield from self._nested(cause, location, model)
                continue
            written = _written(self._values, location, missing=item["type"] == "missing")
            if written not in implied:
                yield self._problem(item, location, written, model)
            if written != location:
                implied.add(written)

    def _nested(
        self, cause: NestedProblems, location: Location, model: type[BaseModel]
    ) -> Iterator[Problem]:
        if cause.within:
            return self.unfolded(cause.cause, (*location, cause.within), cause.model)
        return self.unfolded(cause.cause, location, model)

    def _problem(
        self, item: ErrorDetails, location: Location, written: Location, model: type[BaseModel]
    ) -> Problem:
        if item["type"] == "extra_forbidden":
            among_secrets = location != item["loc"] or self._path.startswith("sources.")
            return self._unknown_key(item["loc"], written, model, among_secrets=among_secrets)
        said = value_at(self._values, written)
        return self._told(reason_of(item, said), written, hint_of(item, said, model))

    def _unknown_key(
        self, loc: Location, written: Location, model: type[BaseModel], *, among_secrets: bool
    ) -> Problem:
        key, inside = str(loc[-1]), loc[:-1]
        meant = hint_for_unknown(key, inside, model)
        if not written or written[-1] != key:  # a name alone stands for a mapping
            ways = ", ".join(keys_at(inside, model))
            return self._told(f"has to be one of {ways}", written, meant)
        hint = meant or list_of_keys(keys_at(inside, model))
        # `{env: {sk-...}}` is a mapping too, of a secret to nothing; so is `auth: {hvs...}`.
        if not meant and among_secrets and value_at(self._values, written) is None:
            return self._told("unknown key (not shown)", written[:-1], hint)
        return self._told(f"unknown key {key!r}", written, hint)

    def _told(self, message: str, location: Location, hint: str) -> Problem:
        dotted = ".".join(str(step) for step in (self._path, *location) if step != "")
        return Problem(message, dotted, site_of(self._values, location), hint)


def _written(values: Sited, location: Location, *, missing: bool) -> Location:
    """Return what of a location somebody wrote: no tags of unions, no keys that are implied."""
    written: list[str | int] = []
    here: object = values
    for number, step in enumerate(location):
        if isinstance(here, Sited):
            if step in here:
                written.append(step)
                site, here = here.sites.get(str(step)), here[str(step)]
                if isinstance(here, Sited) and _stands_for_all(here, site):
                    break
            elif missing and number == len(location) - 1:
                written.append(step)
        elif not isinstance(here, list):
            break
        elif isinstance(step, int):
            written.append(step)
            here = here[step] if step < len(here) else None
    return tuple(written)


def _stands_for_all(parts: Sited, site: Site | None) -> bool:
    """Say whether a bare value was said of all parts at once: no key stands where another does."""
    return len(parts) > 1 and set(parts.sites.values()) == {site}


_TELLTALES = (
    "auth",
    "credential",
    "header",
    "key",
    "literal",
    "password",
    "query",
    "secret",
    "sk-",
    "token",
    "${",
    "@",  # https://user:password@host
)
# Sixteen characters and more with letters and digits: a key that stands where none belongs.
_LIKE_A_KEY = re.compile(r"(?=[\w+=-]*[0-9])(?=[\w+=-]*[A-Za-z])[\w+=-]{16,}")


def with_excerpts(problems: Iterable[Problem], texts: Mapping[str, list[str]]) -> list[Problem]:
    """Add the source line and a caret; of a line that may hold a secret, its key alone."""
    return [_with_excerpt(problem, texts) for problem in problems]


def _with_excerpt(problem: Problem, texts: Mapping[str, list[str]]) -> Problem:
    site = problem.site
    if problem.excerpt or site is None or not 0 < site.line <= len(texts.get(site.file, ())):
        return problem
    lines = texts[site.file]
    line = lines[site.line - 1].replace("\t", " ").rstrip()
    # What has no path is a fault of syntax: the line may belong to a key that stands above it.
    above = "" if problem.path else "".join(lines[max(0, site.line - _LINES_ABOVE - 1) : site.line])
    if _may_hold_a_secret(f"{problem.path}{above}{line}".casefold()):
        line = _key_alone(line, problem.path, site.column)
    if not line or len(line) > _EXCERPT_LIMIT:
        return problem
    return replace(problem, excerpt=f"    {line}\n    {' ' * (site.column - 1)}^")


def _may_hold_a_secret(text: str) -> bool:
    return any(tale in text for tale in _TELLTALES) or _LIKE_A_KEY.search(text) is not None


def _key_alone(line: str, path: str, column: int) -> str:
    """Return a line without what stands behind its key, if the problem's path has that key."""
    before, rest = line[: column - 1], line[column - 1 :]
    key, colon, value = rest.partition(":")
    said = key.strip("\"'")
    shown = colon and not before.strip() and f".{said}." in f".{path}."
    return f"{before}{key}: {_NOT_SHOWN if value.strip() else ''}".rstrip() if shown else ""


_EXCERPT_LIMIT = 200
_LINES_ABOVE = 3


def without_repeats(problems: Iterable[Problem]) -> list[Problem]:
    """Drop what was found twice or follows from another, the rest in the order of the files."""
    unique = dict.fromkeys(map(_guarded, problems))
    followed = _Followed(unique)
    kept = (problem for problem in unique if not followed.by(problem))
    return sorted(kept, key=lambda problem: problem.site or Site(""))


# What keys look like that are known by how they begin: OpenAI's, Vault's, tokens of OpenID.
_KEY = re.compile(r"'?(?<![\w-])(?:sk-|hv[sb]\.|eyJ)(?=[\w.=+/-]*[0-9])[\w.=+/-]{8,}'?")
_NOT_SHOWN = "(not shown)"


def _guarded(problem: Problem) -> Problem:
    """Take out what looks like a key: it may stand where a name belongs, and names are quoted."""
    if not _KEY.search(f"{problem.message} {problem.path} {problem.hint}"):
        return problem
    message, path, hint = (
        _KEY.sub(_NOT_SHOWN, text) for text in (problem.message, problem.path, problem.hint)
    )
    return replace(problem, message=message, path=path, hint=hint)


class _Followed:
    """Which problems bring others about: whoever mends the one has mended the other."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self._paths = {problem.path for problem in problems}
        self._shapeless = {each.path for each in problems if each.message == "is not a mapping"}
        self._unfilled = {each.path for each in problems if _UNFILLED.match(each.message)}

    def by(self, problem: Problem) -> bool:
        """Say whether another problem brought this one about."""
        source = _OF_A_SOURCE.match(problem.message)
        if source is not None:
            return f"sources.{source[1]}" in self._paths
        if problem.path in self._unfilled:
            return _UNFILLED.match(problem.message) is None
        return any(path in self._shapeless for path in _ancestors(problem.path))


_UNFILLED = re.compile(r"variable \S+ is not set|`\$\{\.\.\.\}`")
_OF_A_SOURCE = re.compile(r"source '(.*)' is declared, but")


def _ancestors(path: str) -> Iterator[str]:
    while "." in path:
        path = path.rpartition(".")[0]
        yield path
