"""Our errors as the SDK lets them pass.

What is raised inside a request has to be an `openai.OpenAIError`, or the SDK calls it "Connection
error" after its retries. Each twin is also the error that it is named after.
"""

from __future__ import annotations

from typing import TypeVar

from openai import OpenAIError

from tenantry.errors import (
    ConfigError,
    CredentialUnavailableError,
    RegistryClosedError,
    TenantBoundaryError,
    TenantDisabledError,
    TenantryError,
    UnknownTenantError,
)

E = TypeVar("E", bound=TenantryError)


class RequestCredentialUnavailableError(CredentialUnavailableError, OpenAIError):
    """`CredentialUnavailableError`, raised inside a request."""


class RequestBoundaryError(TenantBoundaryError, OpenAIError):
    """`TenantBoundaryError`, raised inside a request."""


class RequestRegistryClosedError(RegistryClosedError, OpenAIError):
    """`RegistryClosedError`, raised inside a request."""


class RequestTenantDisabledError(TenantDisabledError, OpenAIError):
    """`TenantDisabledError`, raised inside a request."""


class RequestUnknownTenantError(UnknownTenantError, OpenAIError):
    """`UnknownTenantError`, raised inside a request: the tenant was removed."""


class RequestConfigError(ConfigError, OpenAIError):
    """`ConfigError`, raised inside a request: a file that settings name is of no use any more."""


_TWINS: dict[type[TenantryError], type[TenantryError]] = {
    twin.__mro__[1]: twin
    for twin in (
        RequestCredentialUnavailableError,
        RequestBoundaryError,
        RequestRegistryClosedError,
        RequestTenantDisabledError,
        RequestUnknownTenantError,
        RequestConfigError,
    )
}


def in_request(error: E) -> E:
    """Return the twin of an error, with the same facts and cause."""
    twin_class = _TWINS.get(type(error))
    if twin_class is None:
        return error
    twin: E = twin_class.__new__(twin_class)  # type: ignore[assignment]  # a subclass of E's class
    twin.__dict__.update(error.__dict__)
    twin.__cause__ = error.__cause__
    return twin
