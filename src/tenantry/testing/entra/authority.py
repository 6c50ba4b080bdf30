"""The token endpoint of Entra ID for client credentials: by secret, certificate or federation."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tenantry.testing.entra.assertions import check_assertion, is_jwt, registered_key
from tenantry.testing.entra.exchange import Reply
from tenantry.testing.entra.refusals import RefusedError, entra_failure

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from tenantry.testing.entra.exchange import Call
    from tenantry.testing.entra.tokens import IssuedToken, TokenKind, TokenLedger

UNSUPPORTED_GRANT = 70003
UNKNOWN_DIRECTORY = 90002
MISSING_FIELD = 90014
UNKNOWN_APPLICATION = 700016
NOT_FEDERATED = 700213
INVALID_SCOPE = 1002012
INVALID_SECRET = 7000215
NO_CREDENTIAL = 7000216


@dataclass(frozen=True, slots=True)
class _Application:
    client_id: str
    directory_id: str
    secret: str | None = field(repr=False)
    key: RSAPublicKey | None = field(repr=False)
    federated_token: str | None = field(repr=False)


class Authority:
    """The applications of all directories, and the tokens that they are given."""

    def __init__(self, ledger: TokenLedger, lock: threading.RLock, *, home: str) -> None:
        self._ledger = ledger
        self._lock = lock
        self._home = home
        self._applications: dict[str, _Application] = {}

    def register(
        self,
        client_id: str,
        *,
        directory_id: str,
        secret: str | None,
        certificate_file: Path | None,
        federated_token: str | None,
    ) -> None:
        """Make an application known; one of the same `client_id` is replaced."""
        key = None if certificate_file is None else registered_key(certificate_file)
        application = _Application(client_id, directory_id, secret, key, federated_token)
        with self._lock:
            self._applications[client_id] = application

    def change_secret(self, client_id: str, new: str) -> None:
        """Make `new` the only secret; raises `KeyError` for an unknown application."""
        with self._lock:
            self._applications[client_id] = replace(self._applications[client_id], secret=new)

    def discovery(self, call: Call) -> Reply:
        """Answer with the metadata that msal reads before it asks for a token."""
        directory_id = call.path_params["directory_id"]
        try:
            self._check_directory(directory_id)
        except RefusedError as refused:
            return refused.reply()
        return Reply(200, _metadata(f"{call.origin}/{directory_id}"))

    def token(self, call: Call) -> Reply:
        """Answer a client-credentials request with a token, or with Entra's error for it."""
        try:
            token = self._grant(call)
        except RefusedError as refused:
            return refused.reply()
        return Reply(200, _token_body(token))

    def failure(self, status: int, error: str) -> Reply:
        return entra_failure(status, error)

    def _grant(self, call: Call) -> IssuedToken:
        directory_id = call.path_params["directory_id"]
        self._check_directory(directory_id)
        _check_grant_type(call)
        scope = _checked_scope(call)
        application = self._application(_required(call, "client_id"), directory_id)
        return self._ledger.issue(
            _proof(application, call),
            client_id=application.client_id,
            directory_id=directory_id,
            scope=scope,
        )

    def _check_directory(self, directory_id: str) -> None:
        with self._lock:
            known = {application.directory_id for application in self._applications.values()}
        if directory_id not in known | {self._home}:
            raise RefusedError(UNKNOWN_DIRECTORY, directory_id=directory_id)

    def _application(self, client_id: str, directory_id: str) -> _Application:
        with self._lock:
            application = self._applications.get(client_id)
        if application is None or application.directory_id != directory_id:
            raise RefusedError(UNKNOWN_APPLICATION, client_id=client_id, directory_id=directory_id)
        return application


def _required(call: Call, name: str) -> str:
    value = call.form.get(name)
    if value is None:
        raise RefusedError(MISSING_FIELD, field=name)
    return value


def _check_grant_type(call: Call) -> None:
    grant_type = _required(call, "grant_type")
    if grant_type != "client_credentials":
        raise RefusedError(UNSUPPORTED_GRANT, grant_type=grant_type)


def _checked_scope(call: Call) -> str:
    scope = _required(call, "scope")
    if not all(part.endswith("/.default") for part in scope.split()):
        raise RefusedError(INVALID_SCOPE, scope=scope)
    return scope


def _proof(application: _Application, call: Call) -> TokenKind:
    """Tell how the application proved itself; what it sent is checked here."""
    assertion = call.form.get("client_assertion")
    if assertion is not None:
        return _proof_by_assertion(application, assertion, audience=f"{call.origin}{call.path}")
    secret = call.form.get("client_secret")
    if secret is None:
        raise RefusedError(NO_CREDENTIAL)
    if secret != application.secret:
        raise RefusedError(INVALID_SECRET, client_id=application.client_id)
    return "client_secret"


def _proof_by_assertion(application: _Application, assertion: str, *, audience: str) -> TokenKind:
    if assertion == application.federated_token:
        return "federated"
    if application.key is None or not is_jwt(assertion):
        raise RefusedError(NOT_FEDERATED)
    client_id = application.client_id
    check_assertion(assertion, application.key, client_id=client_id, audience=audience)
    return "certificate"


def _metadata(directory: str) -> dict[str, object]:
    return {
        "issuer": f"{directory}/v2.0",
        "authorization_endpoint": f"{directory}/oauth2/v2.0/authorize",
        "token_endpoint": f"{directory}/oauth2/v2.0/token",
        "device_authorization_endpoint": f"{directory}/oauth2/v2.0/devicecode",
        "jwks_uri": f"{directory}/discovery/v2.0/keys",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
        "response_types_supported": ["code", "id_token"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }


def _token_body(token: IssuedToken) -> dict[str, object]:
    body: dict[str, object] = {
        "token_type": "Bearer",
        "expires_in": token.expires_in,
        "ext_expires_in": token.expires_in,
        "access_token": token.value,
    }
    if token.refresh_in is not None:
        body["refresh_in"] = token.refresh_in
    return body
