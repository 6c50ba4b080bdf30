"""Managed identity as virtual machines (IMDS) and App Service offer it: tokens for the asking."""

from __future__ import annotations

import secrets
import time
import uuid
from typing import TYPE_CHECKING

from tenantry.testing.entra.exchange import Reply

if TYPE_CHECKING:
    import threading

    from tenantry.testing.entra.exchange import Call
    from tenantry.testing.entra.tokens import IssuedToken, TokenLedger

IMDS_PATH = "/metadata/identity/oauth2/token"
APP_SERVICE_PATH = "/msi/token"
APP_SERVICE_VERSION = "2019-08-01"
NAMED_OTHERWISE = frozenset({"object_id", "principal_id", "msi_res_id", "mi_res_id"})


class ManagedIdentities:
    """The identities that one host has: at most one of its own, any number assigned by users."""

    def __init__(self, ledger: TokenLedger, lock: threading.RLock, *, directory_id: str) -> None:
        self._ledger = ledger
        self._lock = lock
        self._directory_id = directory_id
        self._system_assigned: str | None = None
        self._user_assigned: set[str] = set()
        self.identity_header = secrets.token_hex(16)

    def assign(self, client_id: str | None) -> str:
        """Give the host an identity, its own if no `client_id` is named; returns the client id."""
        with self._lock:
            if client_id is not None:
                self._user_assigned.add(client_id)
                return client_id
            self._system_assigned = self._system_assigned or str(uuid.uuid4())
            return self._system_assigned

    def imds(self, call: Call) -> Reply:
        """Answer as http://169.254.169.254 does; the `Metadata` header keeps proxies out."""
        if call.headers.get("metadata", "").lower() != "true":
            return _imds_error("Required metadata header not specified")
        if not call.query.get("resource"):
            return _imds_error("Required audience parameter not specified")
        client_id = self._identity(call)
        if client_id is None:
            return _imds_error("Identity not found")
        return Reply(200, _imds_body(self._issue(client_id, call)))

    def app_service(self, call: Call) -> Reply:
        """Answer as App Service's local endpoint does, in its version of 2019-08-01."""
        if call.headers.get("x-identity-header") != self.identity_header:
            return _app_service_error(401, "The X-IDENTITY-HEADER is missing or wrong.")
        if call.query.get("api-version") != APP_SERVICE_VERSION:
            return _app_service_error(400, f"The api-version has to be {APP_SERVICE_VERSION}.")
        if not call.query.get("resource"):
            return _app_service_error(400, "The resource is missing.")
        client_id = self._identity(call)
        if client_id is None:
            text = "No User Assigned or Delegated Managed Identity found for specified ClientId"
            return _app_service_error(400, text)
        return Reply(200, _app_service_body(self._issue(client_id, call)))

    def imds_failure(self, status: int, error: str) -> Reply:
        return _imds_error(error, status)

    def app_service_failure(self, status: int, error: str) -> Reply:
        return _app_service_error(status, error)

    def _identity(self, call: Call) -> str | None:
        if NAMED_OTHERWISE & call.query.keys():
            return None
        with self._lock:
            if call.client_id is not None:
                known = self._user_assigned | {self._system_assigned}
                return call.client_id if call.client_id in known else None
            return self._system_assigned or self._only_user_assigned()

    def _only_user_assigned(self) -> str | None:
        # Azure hands it out even to those who ask for the host's own identity.
        return next(iter(self._user_assigned)) if len(self._user_assigned) == 1 else None

    def _issue(self, client_id: str, call: Call) -> IssuedToken:
        return self._ledger.issue(
            "managed_identity",
            client_id=client_id,
            directory_id=self._directory_id,
            scope=call.query["resource"],
        )


def _imds_error(text: str, status: int = 400) -> Reply:
    return Reply(status, {"error": "invalid_request", "error_description": text})


def _app_service_error(status: int, text: str) -> Reply:
    body = {"statusCode": status, "message": text, "correlationId": str(uuid.uuid4())}
    return Reply(status, body)


def _app_service_body(token: IssuedToken) -> dict[str, object]:
    return {
        "access_token": token.value,
        "expires_on": str(int(time.time()) + token.expires_in),
        "resource": token.scope,
        "token_type": "Bearer",
        "client_id": token.client_id,
    }


def _imds_body(token: IssuedToken) -> dict[str, object]:
    return {
        **_app_service_body(token),
        "expires_in": str(token.expires_in),
        "ext_expires_in": str(token.expires_in),
        "not_before": str(int(time.time())),
    }
