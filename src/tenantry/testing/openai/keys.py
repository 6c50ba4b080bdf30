"""Which credential does a request present, and is it valid?"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable

KeyKind = Literal["bearer", "api-key"]


@dataclass(frozen=True, slots=True)
class Presented:
    """The credential of one request; `conflicting` when it came with two different ones."""

    key: str | None = field(default=None, repr=False)
    kind: KeyKind | None = None
    conflicting: bool = False


NOTHING = Presented()
CONFLICT = Presented(conflicting=True)


def read_credential(headers: Iterable[tuple[bytes, bytes]]) -> Presented:
    """Read the credential from headers with lower-case names; an unknown scheme is no key."""
    found: dict[bytes, Presented] = {}
    for name, value in headers:
        if name == b"authorization":
            found.setdefault(_bearer_key(value) or value, _bearer(value))
        elif name == b"api-key":
            # openai 2 sends an Azure api-key as a bearer token as well: it is still an api-key.
            found[value] = Presented(value.decode("latin-1"), "api-key")
    if len(found) > 1:
        return CONFLICT
    return next(iter(found.values()), NOTHING)


def _bearer(value: bytes) -> Presented:
    key = _bearer_key(value)
    return Presented(key.decode("latin-1"), "bearer") if key else NOTHING


def _bearer_key(value: bytes) -> bytes:
    scheme, _, key = value.partition(b" ")
    return key.strip() if scheme.lower() == b"bearer" else b""


@dataclass(frozen=True, slots=True)
class Standing:
    """What the server knows of a key; labels outlive its revocation."""

    valid: bool
    tenant: str | None = None
    version: str | None = None
    expires_at: float | None = None


STRANGER = Standing(valid=False)
GUEST = Standing(valid=True)


class KeyRing:
    """The keys of one server, for bearer and `api-key` alike; lives as long as the server."""

    def __init__(self, lock: threading.RLock, *, accept_any: bool) -> None:
        self._lock = lock
        self._unknown = GUEST if accept_any else STRANGER
        self._standings: dict[str, Standing] = {}

    def allow(
        self,
        key: str,
        *,
        tenant: str | None = None,
        version: str | None = None,
        lifetime: float | None = None,
    ) -> None:
        """Make a key valid, for `lifetime` seconds or for good."""
        if not key or key != key.strip():
            message = "a key must be non-empty, without blanks around it"
            raise ValueError(message)
        expires_at = None if lifetime is None else time.monotonic() + lifetime
        with self._lock:
            self._standings[key] = Standing(
                valid=True, tenant=tenant, version=version, expires_at=expires_at
            )

    def revoke(self, key: str) -> None:
        with self._lock:
            self._standings[key] = replace(self._standings.get(key, STRANGER), valid=False)

    def standing(self, key: str | None) -> Standing:
        """Return what is known of a key now; an expired one is invalid."""
        if not key:
            return STRANGER
        with self._lock:
            standing = self._standings.get(key, self._unknown)
        if standing.expires_at is not None and time.monotonic() >= standing.expires_at:
            return replace(standing, valid=False)
        return standing
