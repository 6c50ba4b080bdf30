"""What azure-identity does, as far as tenantry builds on it: the credentials that are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientAssertionCredential, ClientSecretCredential

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenantry.testing.entra import EntraServer

SCOPE = "https://cognitiveservices.azure.com/.default"


@pytest.fixture
def server(server: EntraServer) -> EntraServer:
    server.register_app("app", secret="hunter2", federated_token="first")
    return server


@pytest.fixture
def by_secret(server: EntraServer, fast: dict[str, Any]) -> Callable[..., ClientSecretCredential]:
    """Return a maker of credentials that go through msal."""

    def make(secret: str = "hunter2", **options: Any) -> ClientSecretCredential:
        directory_id = options.pop("directory_id", server.directory_id)
        return ClientSecretCredential(directory_id, "app", secret, **(fast | options))

    return make


@pytest.fixture
def by_assertion(
    server: EntraServer, fast: dict[str, Any]
) -> Callable[..., ClientAssertionCredential]:
    """Return a maker of credentials that do without msal, as workload identity does."""

    def make(read: Callable[[], str] = lambda: "first", **options: Any) -> Any:
        return ClientAssertionCredential(server.directory_id, "app", read, **(fast | options))

    return make


def error_of(credential: Any) -> ClientAuthenticationError:
    with credential, pytest.raises(ClientAuthenticationError) as failed:
        credential.get_token_info(SCOPE)
    return failed.value
