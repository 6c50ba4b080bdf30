"""Which of azure-identity's credentials see that a workload's token file has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import WorkloadIdentityCredential
from tests.testing.entra.azure_facts.conftest import SCOPE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from azure.identity import ClientAssertionCredential

    from tenantry.testing.entra import EntraServer

OTHER_SCOPE = "https://vault.azure.net/.default"


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("first")
    return file


@pytest.fixture
def workload(
    server: EntraServer, fast: dict[str, Any], token_file: Path
) -> Callable[[], WorkloadIdentityCredential]:
    def make() -> WorkloadIdentityCredential:
        return WorkloadIdentityCredential(
            tenant_id=server.directory_id,
            client_id="app",
            token_file_path=str(token_file),
            **fast,
        )

    return make


def rotate(server: EntraServer, token_file: Path) -> None:
    token_file.write_text("second")
    server.register_app("app", federated_token="second")


def test_workload_identity_does_not_see_a_changed_file(
    server: EntraServer,
    workload: Callable[[], WorkloadIdentityCredential],
    token_file: Path,
) -> None:
    """WorkloadIdentityCredential sends what it read until the reading is older than 600 s."""
    credential = workload()
    with credential:
        credential.get_token_info(SCOPE)
        rotate(server, token_file)
        with pytest.raises(ClientAuthenticationError, match="AADSTS700213"):
            credential.get_token_info(OTHER_SCOPE)
        credential._last_read_time -= 601
        credential.get_token_info(OTHER_SCOPE)
    assert [SCOPE, OTHER_SCOPE] == [token.scope for token in server.issued]


def test_fresh_workload_identity_reads_the_file(
    server: EntraServer,
    workload: Callable[[], WorkloadIdentityCredential],
    token_file: Path,
) -> None:
    """A new WorkloadIdentityCredential reads the file, however recent the last reading."""
    with workload() as credential:
        credential.get_token_info(SCOPE)
    rotate(server, token_file)
    with workload() as credential:
        credential.get_token_info(SCOPE)
    assert 2 == len(server.issued)


def test_client_assertion_sees_a_changed_file(
    server: EntraServer,
    by_assertion: Callable[..., ClientAssertionCredential],
    token_file: Path,
) -> None:
    """ClientAssertionCredential reads the file at every token request."""
    with by_assertion(token_file.read_text) as credential:
        credential.get_token_info(SCOPE)
        rotate(server, token_file)
        credential.get_token_info(OTHER_SCOPE)
    assert [SCOPE, OTHER_SCOPE] == [token.scope for token in server.issued]
