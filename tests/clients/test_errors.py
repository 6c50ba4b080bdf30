"""Our errors, as the SDK lets them pass."""

from __future__ import annotations

import openai
import pytest

from tenantry import (
    CredentialUnavailableError,
    NoCurrentTenantError,
    RegistryClosedError,
    SourceError,
    TenantBoundaryError,
    TenantDisabledError,
    TenantryError,
)
from tenantry.clients.errors import in_request

ERRORS: list[TenantryError] = [
    CredentialUnavailableError("acme", reference="env KEY", reason="not set", retry_after=5.0),
    TenantBoundaryError("acme", boundary="https://api.openai.com/v1/", reason="elsewhere"),
    RegistryClosedError(),
    TenantDisabledError("acme"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_twin_is_both(error: TenantryError) -> None:
    """What is raised inside a request is the error itself, and an error of the SDK."""
    twin = in_request(error)
    assert isinstance(twin, type(error))
    assert isinstance(twin, openai.OpenAIError)
    assert not isinstance(twin, openai.APIConnectionError)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_twin_has_the_same_facts(error: TenantryError) -> None:
    """Facts, wording and cause are those of the error."""
    error.__cause__ = SourceError("the store said no")
    twin = in_request(error)
    assert vars(error) == vars(twin)
    assert (str(error), error.__cause__) == (str(twin), twin.__cause__)


def test_a_twin_has_no_twin() -> None:
    """An error that is one of the SDK's already is raised as it is."""
    twin = in_request(RegistryClosedError())
    assert twin is in_request(twin)


def test_what_no_request_raises_has_no_twin() -> None:
    """An error that no request raises stays what it is."""
    error = NoCurrentTenantError()
    assert error is in_request(error)
