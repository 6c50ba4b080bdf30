"""What pydantic found wrong becomes problems with a place, a reason and what to do."""

from __future__ import annotations

import difflib
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import BaseModel

from tenantry.errors import Problem, Site
from tenantry.loading.values import Sited, site_of, value_at
from tenantry.settings import NestedProblems, TenantSettings, folded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic import ValidationError

_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "unknown key",
    "string_type": "is not a text: quote it",
    "bool_type": "is not true or false",
    "bool_parsing": "is not true or false",
    "int_type": "is not a whole number",
    "int_parsing": "is not a whole number",
    "dict_type": "is not a mapping",
    "mapping_type": "is not a mapping",
    "model_type": "is not a mapping",
    "path_type": "is not a path",
    "too_short": "is empty",
}


def nearest(word: str, known: Iterable[str]) -> str:
    """Return "did you mean ...?" where one of `known` is near to `word`, else nothing."""
    spelled = {folded(each): each for each in known}
    found = difflib.get_close_matches(folded(word), spelled, 1)
    return f"did you mean {spelled[found[0]]!r}?" if found else ""


def found_by(
    error: ValidationError, values: Sited, path: str, model: type[BaseModel]
) -> list[Problem]:
    """Turn one validation's errors into problems; no value is ever quoted."""
    return list(_unfolded(error, values, path, (), model))


def _unfolded(
    error: ValidationError,
    values: Sited,
    path: str,
    within: tuple[str | int, ...],
    model: type[BaseModel],
) -> Iterable[Problem]:
    items = error.errors(include_input=False, include_url=False)
    for item in items:
        location = (*within, *item["loc"])
        cause = item.get("ctx", {}).get("error")
        if item["type"] == "too_short" and item["loc"] in (each["loc"][:-1] for each in items):
            continue  # it is short of what was wrong in it, which is told
        if isinstance(cause, NestedProblems):
            inner = (*location, cause.within)
            yield from _unfolded(cause.cause, values, path, inner, cause.model)
        elif item["type"] == "extra_forbidden":
            known = _fields(model, item["loc"][:-1])
            yield _unknown_key(values, path, location, known, in_reference=bool(within))
        else:
            message = _WORDS.get(item["type"], item["msg"])
            yield _problem(message, values, path, location)


def _problem(
    message: str, values: Sited, path: str, location: tuple[str | int, ...], hint: str = ""
) -> Problem:
    dotted = ".".join(str(step) for step in (path, *location) if step != "")
    return Problem(message, dotted, site_of(values, location), hint)


def _unknown_key(
    values: Sited,
    path: str,
    location: tuple[str | int, ...],
    known: Iterable[str],
    *,
    in_reference: bool,
) -> Problem:
    key = str(location[-1])
    hint = nearest(key, known)
    said = value_at(values, location, _MISSING)
    # `{env: {sk-...}}` is a mapping too, of a secret to nothing; and where a name alone stands for
    # a mapping, the key was a value.
    if not hint and (said is _MISSING or (said is None and in_reference)):
        return _problem("unknown key (not shown)", values, path, location[:-1])
    return _problem(f"unknown key {key!r}", values, path, location, hint)


_MISSING = object()


def _fields(model: type[BaseModel], location: tuple[str | int, ...]) -> Iterable[str]:
    """Return the keys that the model knows at a place, as far as annotations tell."""
    for step in location:
        info = model.model_fields.get(str(step))
        annotation = None if info is None else info.annotation
        choices = getattr(annotation, "__args__", (annotation,))
        inner = [part for part in choices if isinstance(part, type) and issubclass(part, BaseModel)]
        if not inner:
            return ()
        model = inner[0]
    if model is TenantSettings:
        return (*model.model_fields, "profile", "endpoints")
    return model.model_fields


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
    """Add the source line and a caret, unless the line may hold a secret."""
    return [_with_excerpt(problem, texts) for problem in problems]


def _with_excerpt(problem: Problem, texts: Mapping[str, list[str]]) -> Problem:
    site = problem.site
    if problem.excerpt or site is None or not 0 < site.line <= len(texts.get(site.file, ())):
        return problem
    lines = texts[site.file]
    line = lines[site.line - 1]
    # What has no path is a fault of syntax: the line may belong to a key that stands above it.
    above = "" if problem.path else "".join(lines[max(0, site.line - _LINES_ABOVE - 1) : site.line])
    searched = f"{problem.path}{above}{line}".casefold()
    if any(tale in searched for tale in _TELLTALES) or _LIKE_A_KEY.search(searched):
        return problem
    if len(line) > _EXCERPT_LIMIT:
        return problem
    shown = line.replace("\t", " ").rstrip()
    return replace(problem, excerpt=f"    {shown}\n    {' ' * (site.column - 1)}^")


_EXCERPT_LIMIT = 200
_LINES_ABOVE = 3


def without_repeats(problems: Iterable[Problem]) -> list[Problem]:
    """Drop what was found twice and put the rest in the order of the files."""
    unique = dict.fromkeys(problems)
    return sorted(unique, key=lambda problem: problem.site or Site(""))
