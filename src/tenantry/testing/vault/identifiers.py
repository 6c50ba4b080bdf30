"""Ids in the shapes that Vault gives them."""

from __future__ import annotations

import secrets
import string

_ALPHABET = string.ascii_letters + string.digits
_LENGTH = 24
_BATCH_LENGTH = 100


def accessor() -> str:
    """Return 24 letters and digits: a token's accessor, or the end of a lease id."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))


def service_token() -> str:
    """Return a token that the server keeps a record of."""
    return f"s.{accessor()}"


def batch_token() -> str:
    """Return a token that is long because, in Vault, it is its own record."""
    return f"b.{secrets.token_urlsafe(_BATCH_LENGTH)}"


def mount_accessor(kind: str) -> str:
    """Return a mount's accessor, which tells its type."""
    return f"{kind}_{secrets.token_hex(4)}"
