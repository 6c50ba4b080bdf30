"""Our errors over HTTP: each has its status, its close code and fixed words."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from tenantry import (
    ConfigError,
    CredentialUnavailableError,
    NoCurrentTenantError,
    OptionNotAllowedError,
    RegistryClosedError,
    TenantBoundaryError,
    TenantDisabledError,
    TenantNotLoadedError,
    TenantQuarantinedError,
    TenantryError,
    UnknownEndpointError,
    UnknownTenantError,
)
from tenantry.clients.errors import in_request
from tenantry.integrations.web import Answer, answer_to

UNAVAILABLE = CredentialUnavailableError(
    "acme", reference="vault tenants/acme", reason="sealed", retry_after=0.2
)
BOUNDARY = TenantBoundaryError("acme", boundary="https://api.openai.com", reason="elsewhere")


@pytest.mark.parametrize(
    ("error", "status", "close_code"),
    [
        (NoCurrentTenantError(), 400, 1008),
        (UnknownTenantError("acme"), 404, 1008),
        (TenantDisabledError("acme"), 403, 1008),
        (TenantQuarantinedError("acme", ()), 503, 1013),
        (TenantNotLoadedError("acme"), 503, 1013),
        (RegistryClosedError(), 503, 1013),
        (UNAVAILABLE, 503, 1013),
    ],
)
def test_answers(error: TenantryError, status: int, close_code: int) -> None:
    """What a request can do nothing about but wait is 503 and 1013, what it did wrong 4xx."""
    answer = answer_to(error)

    assert answer is not None
    assert (status, close_code) == (answer.status, answer.close_code)
    assert "acme" not in str(answer.problem())


@pytest.mark.parametrize("error", [UNAVAILABLE, RegistryClosedError(), UnknownTenantError("acme")])
def test_answers_inside_a_request(error: TenantryError) -> None:
    """What the SDK passes on is answered as what was raised before it was called."""
    assert answer_to(error) == answer_to(in_request(error))


@pytest.mark.parametrize(
    "error",
    [
        BOUNDARY,
        ConfigError(),
        OptionNotAllowedError("base_url", allowed=(), reason="is refused"),
        UnknownEndpointError("acme", "eu", ()),
        TenantryError(),
    ],
)
def test_mistakes(error: TenantryError) -> None:
    """What the application itself did wrong is no answer to a request."""
    assert answer_to(error) is None


def test_unknown_as_forbidden() -> None:
    """An unknown tenant may be told apart from a disabled one, or not."""
    unknown = UnknownTenantError("acme")
    disabled = answer_to(TenantDisabledError("acme"))

    assert answer_to(unknown) != disabled
    assert answer_to(unknown, unknown=HTTPStatus.FORBIDDEN) == disabled


@pytest.mark.parametrize(("seconds", "sent"), [(0.0, "1"), (0.2, "1"), (1.0, "1"), (1.2, "2")])
def test_retry_after(seconds: float, sent: str) -> None:
    """Seconds are whole, at least one, and never too few."""
    error = CredentialUnavailableError("acme", reference="", reason="", retry_after=seconds)
    answer = answer_to(error)

    assert answer is not None
    assert {"Retry-After": sent} == answer.headers


def test_problem() -> None:
    """The body is what RFC 9457 says, with the status's own words as its title."""
    answer = Answer(HTTPStatus.NOT_FOUND, "There is no such tenant.")

    assert {} == answer.headers
    assert {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "There is no such tenant.",
    } == answer.problem()
