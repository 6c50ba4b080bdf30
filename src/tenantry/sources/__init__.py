"""Where secrets come from: one file per kind of source, and the table of all kinds."""

from __future__ import annotations

from importlib.metadata import entry_points

from tenantry.sources import (
    aws,
    command,
    entra,
    env,
    file,
    first_of,
    gcp,
    key_vault,
    literal,
    python,
    vault,
    workload_identity,
)
from tenantry.sources.base import Source, SourceKind, SourceTools

ENTRY_POINTS = "tenantry.sources"

_BUILT_IN = (
    literal.KIND,
    env.KIND,
    file.KIND,
    command.KIND,
    python.KIND,
    first_of.KIND,
    vault.KIND,
    entra.KIND,
    key_vault.KIND,
    aws.KIND,
    gcp.KIND,
)

# Not written as a reference: a tenant's `workload_identity` is turned into one.
WORKLOAD_IDENTITY = workload_identity.KIND


def kinds() -> dict[str, SourceKind]:
    """Return every kind of source by name: the built-in ones and those of other packages.

    A package offers one as an entry point of the group `tenantry.sources` whose object is a
    `SourceKind`. A built-in kind is not replaced.
    """
    found = {kind.name: kind for kind in _BUILT_IN}
    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name not in found:
            kind: SourceKind = entry.load()
            found[entry.name] = kind
    return found


__all__ = ["ENTRY_POINTS", "WORKLOAD_IDENTITY", "Source", "SourceKind", "SourceTools", "kinds"]
