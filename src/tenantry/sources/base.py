"""What a source of secrets is, and what it is given to work with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tenantry.flight import Fetch
    from tenantry.freshness import RefreshPolicy
    from tenantry.keeper import Keeper
    from tenantry.secret import Document, Secret
    from tenantry.settings import ReferenceOptions, SecretReference, SourceSettings


class Source(Protocol):
    """Where secrets come from; lives as long as the registry.

    `fetch` runs on a thread of the source's own, several at a time, and may block.
    """

    def fetch(self, options: Any, *, forced: bool) -> Document:
        """Fetch one document.

        Args:
            options: what the reference says; an instance of the kind's reference model.
            forced: the held value was rejected: do not answer from a cache.

        Raises:
            SourceError: with the class of failure, and a reason without a secret.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Let go of sockets; nothing is fetched afterwards."""


class SecretGetter(Protocol):
    """A secret that a source needs for itself, kept fresh by the registry."""

    def get(self) -> Secret: ...
    def refresh(self) -> None: ...


@dataclass(frozen=True, slots=True)
class SourceTools:
    """What the registry lends a source.

    `credential_for` keeps a secret that the source itself needs, such as a Vault secret id.
    `keep` keeps anything else that goes stale, such as a session, on a lane of its own.
    `environ` is the registry's one environment.
    """

    name: str
    environ: Mapping[str, str]
    credential_for: Callable[[SecretReference], SecretGetter]
    keep: Callable[[str, RefreshPolicy, Fetch], Keeper]


@dataclass(frozen=True, slots=True)
class SourceKind:
    """A kind of source: its models, and how one is opened.

    `settings` is None for kinds that need no declaration. `local` says that fetching does not
    leave the machine.
    """

    name: str
    reference: type[ReferenceOptions]
    open: Callable[[Any, SourceTools], Source]
    settings: type[SourceSettings] | None = None
    local: bool = False
