"""What a catalog asks of the database that keeps its tenants; each database is a file beside this.

Every method does I/O, takes no longer than its `timeout` in seconds, and raises
`CatalogUnavailableError` where the database is away. Threads may share an engine, and it lives
through forks: a child opens connections of its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from tenantry.errors import ConfigError, Problem, Site
from tenantry.settings import folded

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

SCHEMA_VERSION = 1
MOST_CHANGES = 10_000  # that are told one by one; after more, reading anew is cheaper


@dataclass(frozen=True, slots=True)
class Row:
    """One tenant as an engine keeps it.

    `said` is what would stand under its name in a file, in plain JSON values; `revision` that of
    its last change.
    """

    name: str
    said: Mapping[str, Any]
    revision: int


@dataclass(frozen=True, slots=True)
class Changed:
    """Who changed since a revision; `names` is None where that is too long ago to know."""

    revision: int
    names: Collection[str] | None


@dataclass(frozen=True, slots=True)
class Write:
    """One change to make: what a tenant says from now on; None removes it."""

    name: str
    said: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One change that was made: who made it and when, and what the tenant said from then on."""

    revision: int
    name: str
    operation: Literal["put", "removed"]
    who: str
    at: datetime
    said: Mapping[str, Any] | None


class Listener(Protocol):
    """A connection on which the database calls at every change; it is one beside the polling.

    It lives through forks: a child has one of its own.
    """

    @property
    def alive(self) -> bool:
        """Whether a call sent from another connection arrived of late."""
        ...

    def stop(self) -> None:
        """Have it end soon; never blocks."""
        ...

    def close(self) -> None:
        """End it; nobody is called afterwards."""
        ...


class Engine(Protocol):
    """A database that keeps tenants, lasting as long as the catalog that asks it."""

    @property
    def origin(self) -> str:
        """What places begin with, such as `postgres` in `postgres:tenants/acme`."""
        ...

    def revision(self, timeout: float) -> int:
        """Return a number that grows with every change, and never before the change is seen."""
        ...

    def row(self, name: str, timeout: float) -> Row | None:
        """Return one tenant, by one indexed read."""
        ...

    def changed(self, since: int, timeout: float) -> Changed:
        """Return who was put or removed after a revision."""
        ...

    def count(self, timeout: float) -> int: ...

    def names(self, after: str, limit: int, timeout: float) -> list[str]:
        """Return a page of names, sorted, those that follow `after`."""
        ...

    def rows(self, after: str, limit: int, timeout: float) -> list[Row]:
        """Return a page of tenants, sorted by name, those that follow `after`."""
        ...

    def write(self, writes: Sequence[Write], who: str, timeout: float) -> int:
        """Make changes, all or none; returns the revision that they made.

        Raises:
            ConfigError: two names are the same once folded.
        """
        ...

    def history(self, name: str | None, limit: int, timeout: float) -> list[HistoryEntry]:
        """Return changes, the latest first; of one tenant, or of all."""
        ...

    def prepare(self, timeout: float) -> int:
        """Create the tables, or bring them to this version; returns the schema's version.

        It may run again, and in many processes at once.
        """
        ...

    def listen(self, woken: Callable[[], None]) -> Listener | None:
        """Have `woken` called, on a thread, at every change; None where nobody calls."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be written: of one name the last word, as columns."""

    removed: list[str]
    names: list[str]
    folded: list[str]
    said: list[str]  # JSON


def sorted_out(writes: Sequence[Write]) -> Changes:
    """Return what a list of changes comes to.

    Raises:
        ConfigError: two of the names to put are the same once folded.
    """
    last = {write.name: write.said for write in writes}
    put = {name: said for name, said in last.items() if said is not None}
    spelled = spellings(put)
    return Changes(
        removed=[name for name in last if name not in put],
        names=list(put),
        folded=list(spelled),
        said=[_json(name, said) for name, said in put.items()],
    )


def spellings(names: Iterable[str]) -> dict[str, str]:
    """Return names by what no two may share.

    Raises:
        ConfigError: two do.
    """
    spelled: dict[str, str] = {}
    for name in names:
        other = spelled.setdefault(folded(name), name)
        if other != name:
            raise twins(name, other, "what is written")
    return spelled


def _json(name: str, said: Mapping[str, Any]) -> str:
    try:
        return json.dumps(said, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        problem = Problem("says something that JSON has no word for", f"tenants.{name}")
    # Raised out here: what `json` says of a value quotes it.
    raise ConfigError(problem)


def known(since: int, revision: int, oldest: int, names: Sequence[str]) -> Changed:
    """Return who changed, where the history reaches back to then and nobody set the clock back.

    A revision from the future is one of another database, or of one before a backup was restored.
    """
    if since > revision or since < oldest - 1 or len(names) > MOST_CHANGES:
        return Changed(revision, None)
    return Changed(revision, frozenset(names))


def position(origin: str, name: str) -> str:
    """Return where a tenant stands, for messages."""
    return f"{origin}:tenants/{name}"


def said_in(text: str, origin: str, name: str) -> Mapping[str, Any]:
    """Return what a row says; whoever wrote it need not have been us.

    Raises:
        ConfigError: it is not JSON that can be read.
    """
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        site = Site(position(origin, name))
        # Raised out here: what `json` says of a text quotes it.
        raise ConfigError(Problem("is not a mapping in readable JSON", f"tenants.{name}", site))
    return said


def unprepared(origin: str) -> ConfigError:
    """Say that the database has no tables of ours."""
    return ConfigError(
        Problem(f"{origin} has no tables", "catalog", hint="run `tenantry catalog init`")
    )


def checked_version(origin: str, version: int) -> int:
    """Return the version of the tables that are there, if it is one that we can use.

    Raises:
        ConfigError: it is not.
    """
    if version > SCHEMA_VERSION:
        message = f"the tables in {origin} have version {version}, and we know {SCHEMA_VERSION}"
        raise ConfigError(Problem(message, "catalog", hint="update tenantry"))
    return version


def twins(name: str, other: str, origin: str) -> ConfigError:
    """Say that two names could not be told apart in variables and files."""
    message = f"{name!r} and {other!r} are the same name once case and `-_.` are folded"
    return ConfigError(Problem(f"{message} ({origin} has the latter)", f"tenants.{name}"))
