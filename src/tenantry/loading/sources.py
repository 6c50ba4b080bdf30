"""The declared sources of a configuration, validated by their kinds, and free of circles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tenantry.errors import Problem
from tenantry.loading.problems import found_by, nearest
from tenantry.loading.values import Sited

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tenantry.settings import Kind, References, SecretReference, SourceSettings

# A source of one of these names could not be told from an argument of a reference.
RESERVED = frozenset({"path", "field", "name", "scope", "version", "refresh", "type"})


@dataclass(frozen=True, slots=True)
class DeclaredSource:
    """A source as the configuration declares it: its kind and how to log in."""

    kind: Kind
    settings: SourceSettings


def read_sources(
    said: Mapping[str, Any], references: References, problems: list[Problem]
) -> dict[str, DeclaredSource]:
    """Validate what stands under `sources`; what is wrong is added to `problems`."""
    found: dict[str, DeclaredSource] = {}
    for name, settings in said.items():
        site = said.sites[name] if isinstance(said, Sited) else None
        values = settings.copy() if isinstance(settings, Sited) else Sited()
        values.site = site or values.site
        problem = _misnamed(name, references)
        if problem:
            problems.append(Problem(problem[0], f"sources.{name}", site, problem[1]))
            continue
        kind = references.kinds[references.declared[name]]
        values.take("type")
        declared = _declared(name, kind, values, references, problems)
        if declared is not None:
            found[name] = declared
    problems += _circles(found, said)
    return found


def _misnamed(name: str, references: References) -> tuple[str, str] | None:
    if name in RESERVED:
        return f"a source cannot be called {name!r}: references use that word", ""
    kind_name = references.declared.get(name, name)
    kind = references.kinds.get(kind_name)
    declarable = [known for known, each in references.kinds.items() if each.settings is not None]
    if kind is None:
        hint = nearest(kind_name, declarable) or f"say `type:` with one of {', '.join(declarable)}"
        return f"unknown kind of source {kind_name!r}", hint
    if name in references.kinds and (kind_name != name or kind.settings is None):
        return f"{name!r} is a built-in kind of source: give yours another name", ""
    if kind.settings is None:
        return f"a source of kind {kind_name!r} is built in and needs no declaration", ""
    return None


def _declared(
    name: str, kind: Kind, values: Sited, references: References, problems: list[Problem]
) -> DeclaredSource | None:
    assert kind.settings is not None  # noqa: S101  # its name was refused otherwise
    try:
        settings = kind.settings.model_validate(values, context=references)
    except ValidationError as error:
        problems += found_by(error, values, f"sources.{name}", kind.settings)
        return None
    return DeclaredSource(kind, settings)


def _circles(found: Mapping[str, DeclaredSource], said: Mapping[str, Any]) -> Iterable[Problem]:
    """Find sources whose own secrets come, by whatever way, from themselves."""
    needs = {name: list(_sources_in(each.settings.references())) for name, each in found.items()}
    for name in found:
        way = _way_back(name, needs)
        if way:
            site = said.sites.get(name) if isinstance(said, Sited) else None
            first, *rest = way
            message = f"{first} needs {', which needs '.join(rest)}, to log in: a circle"
            yield Problem(message, f"sources.{name}", site)


def _way_back(name: str, needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the shortest way from a source through what it needs to itself, or nothing."""
    ways = [[name]]
    seen: set[str] = set()
    for way in ways:  # which grows meanwhile
        for step in needs.get(way[-1], ()):
            if step == name:
                return [*way, name]
            if step not in seen:
                seen.add(step)
                ways.append([*way, step])
    return []


def _sources_in(references: Iterable[SecretReference]) -> Iterable[str]:
    for reference in references:
        yield reference.source
        yield from _sources_in(reference.options.nested())
