"""Why does the authority refuse a token, and how does Entra word it?"""

from __future__ import annotations

import datetime as dt
import re
import uuid
from typing import NamedTuple

from tenantry.testing.entra.exchange import Reply

TOO_MANY_REQUESTS = 429
SERVER_ERROR = 500
UNAUTHORIZED = 401


class _Wording(NamedTuple):
    status: int
    error: str
    text: str


_WORDINGS = {
    50027: _Wording(400, "invalid_request", "JWT token is invalid or malformed."),
    70003: _Wording(
        400, "unsupported_grant_type", "The app requested an unsupported grant type '{grant_type}'."
    ),
    90002: _Wording(
        400,
        "invalid_tenant",
        "Tenant '{directory_id}' not found. Check to make sure you have the correct tenant ID"
        " and are signing into the correct cloud.",
    ),
    90014: _Wording(
        400, "invalid_request", "The required field '{field}' is missing from the credential."
    ),
    700016: _Wording(
        400,
        "unauthorized_client",
        "Application with identifier '{client_id}' was not found in the directory"
        " '{directory_id}'. You may have sent your authentication request to the wrong tenant.",
    ),
    700023: _Wording(
        401, "invalid_client", "Client assertion audience claim does not match Realm issuer."
    ),
    700024: _Wording(401, "invalid_client", "Client assertion is not within its valid time range."),
    700027: _Wording(
        401,
        "invalid_client",
        "The certificate with identifier used to sign the client assertion is not registered on"
        " application '{client_id}'.",
    ),
    700212: _Wording(
        401,
        "invalid_client",
        "The issuer and subject of the client assertion must be the application '{client_id}'.",
    ),
    700213: _Wording(
        401,
        "invalid_client",
        "No matching federated identity record found for presented assertion.",
    ),
    1002012: _Wording(
        400,
        "invalid_scope",
        "The provided value for scope {scope} is not valid. Client credential flows must have a"
        " scope value with /.default suffixed to the resource identifier.",
    ),
    7000215: _Wording(
        401,
        "invalid_client",
        "Invalid client secret provided. Ensure the secret being sent in the request is the"
        " client secret value, not the client secret ID, for a secret added to app '{client_id}'.",
    ),
    7000216: _Wording(
        401,
        "invalid_client",
        "'client_assertion', 'client_secret' or 'request' is required for the"
        " 'client_credentials' grant type.",
    ),
}


class RefusedError(Exception):
    """The authority says no: an AADSTS code and the names that its wording mentions."""

    def __init__(self, code: int, **names: str) -> None:
        super().__init__(code, names)
        self.code = code
        self.names = names

    def reply(self) -> Reply:
        """Word it the way that Entra does."""
        wording = _WORDINGS[self.code]
        text = f"AADSTS{self.code}: {wording.text.format_map(self.names)}"
        return Reply(wording.status, _body(wording.error, text))


def entra_failure(status: int, text: str) -> Reply:
    """Build the reply to a request that fails by plan; `text` may begin with an AADSTS code."""
    return Reply(status, _body(_error_name(status), text))


def _error_name(status: int) -> str:
    if status == TOO_MANY_REQUESTS or status >= SERVER_ERROR:
        return "temporarily_unavailable"
    return "invalid_client" if status == UNAUTHORIZED else "invalid_request"


def _body(error: str, text: str) -> dict[str, object]:
    trace_id, correlation_id = str(uuid.uuid4()), str(uuid.uuid4())
    timestamp = f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M:%SZ}"
    codes = [int(code) for code in re.findall(r"AADSTS(\d+)", text)]
    marks = f"Trace ID: {trace_id} Correlation ID: {correlation_id} Timestamp: {timestamp}"
    return {
        "error": error,
        "error_description": f"{text} {marks}",
        "error_codes": codes,
        "timestamp": timestamp,
        "trace_id": trace_id,
        "correlation_id": correlation_id,
    }
