"""The secrets of an Azure Key Vault, behind its bearer challenge."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tenantry.testing.entra.exchange import Reply

if TYPE_CHECKING:
    import threading

    from tenantry.testing.entra.exchange import Call
    from tenantry.testing.entra.tokens import TokenLedger

RESOURCE = "https://vault.azure.net"


@dataclass(frozen=True, slots=True)
class _Version:
    version: str
    value: str = field(repr=False)
    created: int
    updated: int
    enabled: bool = True
    expires_on: int | None = None


class KeyVault:
    """The secrets of one vault, every version of them, newest last."""

    def __init__(self, ledger: TokenLedger, lock: threading.RLock, *, directory_id: str) -> None:
        self._ledger = ledger
        self._lock = lock
        self._directory_id = directory_id
        self._secrets: dict[str, list[_Version]] = {}

    def set(self, name: str, value: str, *, expires_on: int | None) -> str:
        """Add a version and return its id."""
        now = int(time.time())
        made = _Version(uuid.uuid4().hex, value, now, now, expires_on=expires_on)
        with self._lock:
            self._secrets.setdefault(name, []).append(made)
        return made.version

    def enable(self, name: str, version: str | None, *, enabled: bool) -> None:
        """Switch one version, the newest by default; raises `KeyError` where there is none."""
        with self._lock:
            versions = self._secrets[name]
            index = _index(versions, version)
            if index is None:
                raise KeyError(version)
            versions[index] = replace(versions[index], enabled=enabled, updated=int(time.time()))

    def delete(self, name: str) -> None:
        """Remove a secret with all its versions; raises `KeyError` where there is none."""
        with self._lock:
            del self._secrets[name]

    def get(self, call: Call) -> Reply:
        """Answer `GET /secrets/{name}/{version}`: challenge, error, or the secret's bundle."""
        problem = self._problem_with_token(call)
        if problem is not None:
            return self._challenge(call.origin, problem)
        if "api-version" not in call.query:
            return _error(400, "BadParameter", "The api-version parameter is missing.")
        name = call.path_params["name"]
        found = self._find(name, call.path_params.get("version") or None)
        if found is None:
            text = f"A secret with (name/id) {name} was not found in this key vault."
            return _error(404, "SecretNotFound", text)
        if not found.enabled:
            return _disabled()
        return Reply(200, _bundle(f"{call.origin}/secrets/{name}/{found.version}", found))

    def failure(self, status: int, error: str) -> Reply:
        return _error(status, error.partition(":")[0], error)

    def _find(self, name: str, version: str | None) -> _Version | None:
        with self._lock:
            versions = self._secrets.get(name, [])
            index = _index(versions, version)
            return None if index is None else versions[index]

    def _problem_with_token(self, call: Call) -> str | None:
        scheme, _, value = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not value:
            return "AKV10000: Request is missing a Bearer or PoP token."
        token = self._ledger.accepted(value)
        if token is None:
            return "AKV10063: The bearer token is unknown, expired or revoked."
        if token.scope.removesuffix("/.default").rstrip("/") != RESOURCE:
            return f"AKV10022: Invalid audience. Expected {RESOURCE}, found: {token.scope}."
        if token.directory_id != self._directory_id:
            return f"AKV10032: Invalid issuer. Expected directory {self._directory_id}."
        return None

    def _challenge(self, origin: str, text: str) -> Reply:
        directory = f"{origin}/{self._directory_id}"
        challenge = f'Bearer authorization="{directory}", resource="{RESOURCE}"'
        reply = _error(401, "Unauthorized", text)
        return replace(reply, headers={"WWW-Authenticate": challenge})


def _index(versions: list[_Version], version: str | None) -> int | None:
    """Return where a version is; the newest if none is named."""
    if version is None:
        return len(versions) - 1 if versions else None
    return next((i for i, known in enumerate(versions) if known.version == version), None)


def _bundle(identifier: str, version: _Version) -> dict[str, object]:
    attributes: dict[str, object] = {
        "enabled": version.enabled,
        "created": version.created,
        "updated": version.updated,
        "recoveryLevel": "Recoverable+Purgeable",
        "recoverableDays": 90,
    }
    if version.expires_on is not None:
        attributes["exp"] = version.expires_on
    return {"value": version.value, "id": identifier, "attributes": attributes}


def _error(status: int, code: str, text: str, **more: object) -> Reply:
    return Reply(status, {"error": {"code": code, "message": text, **more}})


def _disabled() -> Reply:
    text = "Operation get is not allowed on a disabled secret."
    return _error(403, "Forbidden", text, innererror={"code": "SecretDisabled"})
