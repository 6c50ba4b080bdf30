"""Which access tokens were issued, to whom, and which of them are still good?"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import threading

TokenKind = Literal["client_secret", "certificate", "federated", "managed_identity"]
"""How the client proved who it is."""

DEFAULT_LIFETIME = 3600


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """An access token as it left the server; `value` is the token, and is not in the repr.

    `scope` is what was asked for: a scope at the authority, a resource at a managed identity.
    `expires_in` and `refresh_in` are seconds from the moment of issue.
    """

    sequence: int
    kind: TokenKind
    client_id: str
    directory_id: str
    scope: str
    expires_in: int
    refresh_in: int | None
    value: str = field(repr=False)


IssueHook = Callable[[IssuedToken], None]
"""Called with each token before the client has it."""


@dataclass(frozen=True, slots=True)
class _Entry:
    token: IssuedToken
    deadline: float


class TokenLedger:
    """All tokens of one server, for the server's life; `lifetime` and `refresh_in` in seconds."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._entries: dict[str, _Entry] = {}
        self._revoked: set[str] = set()
        self.lifetime = DEFAULT_LIFETIME
        self.refresh_in: int | None = None
        self.hooks: list[IssueHook] = []

    def issue(
        self, kind: TokenKind, *, client_id: str, directory_id: str, scope: str
    ) -> IssuedToken:
        with self._lock:
            token = IssuedToken(
                sequence=len(self._entries) + 1,
                kind=kind,
                client_id=client_id,
                directory_id=directory_id,
                scope=scope,
                expires_in=self.lifetime,
                refresh_in=self.refresh_in,
                value=f"entra-{secrets.token_urlsafe(32)}",
            )
            self._entries[token.value] = _Entry(token, time.monotonic() + self.lifetime)
            hooks = tuple(self.hooks)
        # Hooks take locks of other servers: never while holding ours.
        for hook in hooks:
            hook(token)
        return token

    def issued(self) -> tuple[IssuedToken, ...]:
        with self._lock:
            return tuple(entry.token for entry in self._entries.values())

    def accepted(self, value: str) -> IssuedToken | None:
        """Return the token if it is ours, neither expired nor revoked."""
        with self._lock:
            entry = self._entries.get(value)
            if entry is None or value in self._revoked or time.monotonic() >= entry.deadline:
                return None
            return entry.token

    def revoke(self, value: str) -> None:
        """End a token before its time; raises `KeyError` for one that was never issued."""
        with self._lock:
            if value not in self._entries:
                message = "this token was not issued here"
                raise KeyError(message)
            self._revoked.add(value)
