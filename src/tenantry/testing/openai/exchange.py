"""Workload identity: a subject token against an access token that is a valid key for a while."""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING

from tenantry.testing.openai.answers import Answer, encode, ok
from tenantry.testing.openai.refusals import refuse
from tenantry.testing.openai.routes import Surface

if TYPE_CHECKING:
    import threading

    from tenantry.testing.openai.keys import KeyRing

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"
X509_TOKEN_TYPE = "urn:openai:params:oauth:token-type:x509"
REQUIRED = ("subject_token_type", "identity_provider_id", "service_account_id")


class TokenExchange:
    """Issues access tokens into a key ring; `lifetime` is in seconds, for tokens to come."""

    def __init__(self, lock: threading.RLock, keys: KeyRing, *, lifetime: float) -> None:
        self._lock = lock
        self._keys = keys
        self.lifetime = lifetime
        self.count = 0

    def answer(self, body: bytes) -> Answer:
        """Answer an exchange request, in JSON; the subject token itself is not verified."""
        fields = _fields(body)
        missing = _missing(fields)
        if missing:
            return refuse(400, Surface.TOKEN, message=f"missing or wrong: {', '.join(missing)}")
        return ok(encode(self._issue(str(fields["service_account_id"]))))

    def _issue(self, account: str) -> dict[str, object]:
        token = f"oat_{secrets.token_urlsafe(24)}"
        with self._lock:
            self.count += 1
            lifetime = self.lifetime
            self._keys.allow(token, tenant=account, version=str(self.count), lifetime=lifetime)
        return {
            "access_token": token,
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
            "token_type": "Bearer",
            "expires_in": lifetime,
        }


def _fields(body: bytes) -> dict[str, object]:
    try:
        parsed = json.loads(body)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _missing(fields: dict[str, object]) -> list[str]:
    missing = [name for name in REQUIRED if not _is_text(fields.get(name))]
    if fields.get("grant_type") != GRANT_TYPE:
        missing.append("grant_type")
    # A certificate is its own subject token: the TLS handshake carried it.
    if fields.get("subject_token_type") != X509_TOKEN_TYPE and not _is_text(
        fields.get("subject_token")
    ):
        missing.append("subject_token")
    return missing


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
