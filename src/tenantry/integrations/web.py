"""What our errors mean over HTTP: a status, and fixed words that name no tenant and no secret."""

from __future__ import annotations

import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tenantry.errors import (
    CatalogUnavailableError,
    CredentialUnavailableError,
    NoCurrentTenantError,
    RegistryClosedError,
    TenantDisabledError,
    TenantNotLoadedError,
    TenantQuarantinedError,
    TenantryError,
    UnknownTenantError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

PROBLEM_JSON = "application/problem+json"  # RFC 9457

# Codes that close a WebSocket (RFC 6455, section 7.4.1, and its registry).
POLICY_VIOLATION = 1008
TRY_AGAIN_LATER = 1013


@dataclass(frozen=True, slots=True)
class Answer:
    """How an error is answered: `retry_after` in whole seconds, where waiting helps."""

    status: HTTPStatus
    detail: str
    retry_after: int | None = None

    @property
    def headers(self) -> Mapping[str, str]:
        return {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}

    @property
    def close_code(self) -> int:
        """The code that closes a WebSocket for the same reason."""
        return (
            TRY_AGAIN_LATER if self.status >= HTTPStatus.INTERNAL_SERVER_ERROR else POLICY_VIOLATION
        )

    def problem(self) -> dict[str, Any]:
        """Return the body, as RFC 9457 says."""
        return {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": int(self.status),
            "detail": self.detail,
        }


_UNKNOWN = {
    HTTPStatus.NOT_FOUND: "There is no such tenant.",
    HTTPStatus.FORBIDDEN: "The tenant may not be used.",
}
_UNAVAILABLE = "The tenant cannot be served at the moment."

# To who may not act for a tenant, one that is disabled, or as `unknown` says unknown, looks alike.
NOT_ALLOWED = Answer(HTTPStatus.FORBIDDEN, _UNKNOWN[HTTPStatus.FORBIDDEN])


def answer_to(error: TenantryError, *, unknown: HTTPStatus = HTTPStatus.NOT_FOUND) -> Answer | None:
    """Return how an error is answered; None for what is a mistake of the application itself.

    Args:
        error: what was raised.
        unknown: the status for a tenant that nobody knows; 403 tells less to who guesses names.
    """
    if isinstance(error, NoCurrentTenantError):
        return Answer(HTTPStatus.BAD_REQUEST, "The request names no tenant.")
    if isinstance(error, UnknownTenantError):
        return Answer(unknown, _UNKNOWN[unknown])
    if isinstance(error, TenantDisabledError):
        return NOT_ALLOWED
    if isinstance(error, (CatalogUnavailableError, CredentialUnavailableError)):
        wait = max(1, math.ceil(error.retry_after))
        return Answer(HTTPStatus.SERVICE_UNAVAILABLE, _UNAVAILABLE, wait)
    if isinstance(error, (TenantQuarantinedError, TenantNotLoadedError, RegistryClosedError)):
        return Answer(HTTPStatus.SERVICE_UNAVAILABLE, _UNAVAILABLE)
    return None
