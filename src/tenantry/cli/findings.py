"""What is wrong with a configuration, and what is right but should not stay."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenantry.errors import ConfigError, Problem, Site
from tenantry.loading.allow import site_at
from tenantry.loading.values import Sited

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tenantry.loading import Configuration, Contents, Tenant
    from tenantry.opening import Opening
    from tenantry.settings import SecretReference

LITERAL = "literal"
ENTRA = "entra"  # its tokens are this process's, the same for every tenant


@dataclass(frozen=True, slots=True)
class Findings:
    """What `check` found.

    `tenants` is how many there are; None where nothing could be used, or an engine keeps them.
    """

    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...] = ()
    tenants: int | None = None


def findings(opening: Opening, *, strict: bool) -> Findings:
    """Read a configuration and return all that is wrong with it.

    Args:
        opening: where it is.
        strict: whether to look at what `allow` leaves open, too.

    Raises:
        ConfigError: nothing of it can be read.
    """
    contents = opening.contents()
    try:
        configuration = opening.read(contents)
    except ConfigError as error:
        if _nothing_read(opening, contents):
            raise
        return Findings(error.problems)
    quarantined = configuration.quarantined
    problems = [problem for found in quarantined.values() for problem in found]
    warnings = list(_literals(configuration))
    if strict:
        warnings += _open_ends(configuration)
    tenants = len(configuration.tenants.keys() | quarantined.keys())
    in_engine = configuration.engine is not None
    return Findings(tuple(problems), tuple(warnings), None if in_engine else tenants)


def _nothing_read(opening: Opening, contents: Contents | None) -> bool:
    if contents is None:
        return not any(name.startswith("TENANTRY_") for name in opening.environ)
    return all(file.problem for found in contents.found for file in found.files)


# -- secrets that stand in the configuration ------------------------------------------------------


def _literals(configuration: Configuration) -> Iterator[Problem]:
    """Find secrets in plain text; one that many tenants share is told once."""
    told: set[object] = set()
    for tenant in configuration.tenants.values():
        for path, site in _literals_of(tenant):
            if site not in told:
                told.add(site)
                hint = "keep it in a source, and say {env: NAME}, {file: PATH} or {SOURCE: PATH}"
                yield Problem("a secret stands in the configuration", path, site, hint)


def _literals_of(tenant: Tenant) -> Iterator[tuple[str, Site | None]]:
    for endpoint, merged in tenant.said.items():
        inside = f".endpoints.{endpoint}" if endpoint else ""
        for key, reference in tenant.at(endpoint or None).references():
            if _is_literal(reference):
                yield f"tenants.{tenant.name}{inside}.{key}", site_at(merged, key)


def _is_literal(reference: SecretReference) -> bool:
    return reference.source == LITERAL or any(map(_is_literal, reference.options.nested()))


# -- what a tenant could name ---------------------------------------------------------------------

# `{tenant}` and a `*` in one step of a path: what is allowed to acme is allowed to acme-2.
_BESIDE = re.compile(r"\{tenant\}[^/]*\*|\*[^/]*\{tenant\}")


def _open_ends(configuration: Configuration) -> Iterator[Problem]:
    """Find where one tenant's lines could name what is another's."""
    secrets = configuration.allow.get("secrets")
    patterns = secrets if isinstance(secrets, Sited) else Sited(configuration.allow.site)
    if configuration.engine is None:  # to rows of an engine nothing is open that is not said
        yield from _unsaid(patterns, configuration)
    shared = _shared(configuration)
    for source in patterns:
        if source not in shared:
            yield from _wide(patterns[source], f"allow.secrets.{source}", patterns.sites[source])


def _unsaid(patterns: Sited, configuration: Configuration) -> Iterator[Problem]:
    if configuration.allow.get("origins") is None:
        site, hint = configuration.allow.site, "say allow.origins: [https://api.openai.com, ...]"
        yield Problem("a tenant may send its requests anywhere", "allow", site, hint)
    for source in sorted(_sources_used(configuration) - patterns.keys()):
        message, hint = f"a tenant may name any secret of {source}", f"say {source}: [...] there"
        yield Problem(message, "allow.secrets", patterns.site, hint)


def _wide(patterns: Iterable[str], path: str, site: Site) -> Iterator[Problem]:
    for pattern in patterns:
        if "{tenant}" not in pattern:
            message = f"{pattern} lets a tenant name the secrets of others"
            yield Problem(message, path, site, "write {tenant} where the tenant's name stands")
        elif _BESIDE.search(pattern):
            message = f"{pattern} lets a tenant name those of others whose names are longer"
            yield Problem(message, path, site, "put a `/` between {tenant} and `*`")


def _sources_used(configuration: Configuration) -> set[str]:
    """Return the sources of which one tenant's secret is not another's."""
    shared = _shared(configuration)
    return {
        reference.source
        for tenant in configuration.tenants.values()
        for endpoint in ("", *tenant.endpoints)
        for _, reference in tenant.at(endpoint or None).references()
        if reference.source not in shared and not reference.options.nested()
    }


def _shared(configuration: Configuration) -> set[str]:
    kinds = {name: each.kind.name for name, each in configuration.sources.items()}
    return {LITERAL, *(name for name, kind in kinds.items() if kind == ENTRA)}
