"""The keys of a fake registry's tenants: made up, in versions, told to the service that takes them.

They stand in for every source of a configuration, whatever kind it is.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tenantry.errors import SourceError
from tenantry.secret import PEM_SETTINGS, Document
from tenantry.sources import WORKLOAD_IDENTITY, kinds

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable

    from tenantry.settings import ReferenceOptions, SecretReference
    from tenantry.sources import SourceKind, SourceTools
    from tenantry.testing.openai.keys import KeyRing


@dataclass(slots=True)
class _Entry:
    """One document: its number, its version, and the fields that somebody needs of it."""

    number: int
    version: int = 1
    fields: set[str] = field(default_factory=set[str])
    withheld: bool = False

    def content(self) -> str | dict[str, str]:
        if not self.fields:
            return self._value("")
        return {name: self._value(name) for name in self.fields}

    def _value(self, name: str) -> str:
        value = "-".join(filter(None, ("sk-fake", str(self.number), name, f"v{self.version}")))
        return f"-----BEGIN FAKE-----\n{value}" if name in PEM_SETTINGS else value

    def values(self) -> list[str]:
        content = self.content()
        return [content] if isinstance(content, str) else list(content.values())


class FakeKeys:
    """Every document that a configuration points at; lives as long as the registry."""

    def __init__(self, lock: threading.RLock, accepted: KeyRing) -> None:
        self._lock = lock
        self._accepted = accepted
        self._numbers = itertools.count(1)
        self._entries: dict[tuple[str, object], _Entry] = {}

    def kinds(self) -> dict[str, SourceKind]:
        """Return every kind of source, each opened as one that delivers these keys."""
        real = {**kinds(), WORKLOAD_IDENTITY.name: WORKLOAD_IDENTITY}
        return {name: replace(kind, open=self._open) for name, kind in real.items()}

    def expect(self, references: Iterable[SecretReference]) -> None:
        """Note which fields of a document are needed, before it is first fetched."""
        with self._lock:
            for reference in references:
                name = reference.options.field or reference.setting
                self._entry(reference.source, reference.options).fields.add(name)

    def deliver(self, source: str, options: ReferenceOptions) -> Document:
        """Return the version of the moment, which the service accepts from now on.

        Raises:
            SourceError: it is withheld.
        """
        with self._lock:
            entry = self._entry(source, options)
            if entry.withheld:
                raise SourceError("withheld by the test")
            for value in entry.values():
                self._accepted.allow(value, version=str(entry.version))
            return Document(entry.content(), version=str(entry.version))

    def rotate(self, reference: SecretReference, *, revoke: bool) -> None:
        """Publish another version; the one of before is refused, unless it is not revoked."""
        with self._lock:
            entry = self._entry(reference.source, reference.options)
            if revoke:
                for value in entry.values():
                    self._accepted.allow(value, version=str(entry.version))
                    self._accepted.revoke(value)
            entry.version += 1

    def withhold(self, reference: SecretReference, *, withheld: bool) -> None:
        with self._lock:
            self._entry(reference.source, reference.options).withheld = withheld

    def _entry(self, source: str, options: ReferenceOptions) -> _Entry:
        place = (source, options.locator)
        if place not in self._entries:
            self._entries[place] = _Entry(next(self._numbers))
        return self._entries[place]

    def _open(self, settings: object, tools: SourceTools) -> _FakeSource:
        del settings
        return _FakeSource(tools.name, self)


class _FakeSource:
    """Delivers a fake registry's keys in the name of a source."""

    def __init__(self, name: str, keys: FakeKeys) -> None:
        self._name = name
        self._keys = keys

    def fetch(self, options: Any, *, forced: bool) -> Document:
        del forced
        return self._keys.deliver(self._name, options)

    def close(self) -> None:
        """Nothing is held."""
