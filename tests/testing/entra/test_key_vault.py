import datetime as dt
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
)
from azure.identity import ClientSecretCredential
from azure.keyvault.secrets import SecretClient

from tenantry.testing.entra import EntraServer
from tenantry.testing.entra.exchange import Call, Reply
from tenantry.testing.entra.key_vault import KeyVault
from tenantry.testing.entra.tokens import TokenLedger

RESOURCE = "https://vault.azure.net"


@pytest.fixture
def client(server: EntraServer, fast: dict[str, Any]) -> Iterator[SecretClient]:
    server.register_app("app", secret="hunter2")
    with (
        ClientSecretCredential(server.directory_id, "app", "hunter2", **fast) as credential,
        SecretClient(
            server.vault_url,
            credential,
            connection_verify=str(server.ca_file),
            verify_challenge_resource=False,
            retry_total=0,
        ) as made,
    ):
        yield made


@pytest.fixture
def ledger() -> TokenLedger:
    return TokenLedger(threading.RLock())


@pytest.fixture
def vault(ledger: TokenLedger) -> KeyVault:
    made = KeyVault(ledger, threading.RLock(), directory_id="d")
    made.set("openai", "sk-1", expires_on=None)
    return made


def get(vault: KeyVault, make_call: Callable[..., Call], token: str, **query: str) -> Reply:
    return vault.get(
        make_call(
            path_params={"name": "openai"},
            headers={"authorization": token},
            query=query,
        )
    )


def code_of(reply: Reply) -> str:
    body = cast("dict[str, Any]", reply.body)
    return str(body["error"]["code"])


def test_secret_is_read(server: EntraServer, client: SecretClient) -> None:
    """SecretClient reads the value, the version and the id of a secret after the challenge."""
    version = server.set_secret("openai", "sk-1")
    secret = client.get_secret("openai")
    expected = ("sk-1", version, f"{server.vault_url}/secrets/openai/{version}")
    assert expected == (secret.value, secret.properties.version, secret.id)


def test_newest_version_is_read(server: EntraServer, client: SecretClient) -> None:
    """A secret without a version is its newest, an older one is read by its version."""
    old = server.set_secret("openai", "sk-1")
    server.set_secret("openai", "sk-2")
    assert "sk-2" == client.get_secret("openai").value
    assert "sk-1" == client.get_secret("openai", old).value


def test_expiry_is_told(server: EntraServer, client: SecretClient) -> None:
    """When a secret expires is among its properties, and does not hide its value."""
    server.set_secret("openai", "sk-1", expires_on=1_000_000_000)
    secret = client.get_secret("openai")
    expected = dt.datetime.fromtimestamp(1_000_000_000, dt.UTC)
    assert ("sk-1", expected) == (secret.value, secret.properties.expires_on)


@pytest.mark.parametrize("version", [None, "0" * 32])
def test_absent_secret_is_not_found(
    server: EntraServer, client: SecretClient, version: str | None
) -> None:
    """A name or a version that was never set is not found."""
    server.set_secret("other", "sk-1")
    with pytest.raises(ResourceNotFoundError, match="SecretNotFound"):
        client.get_secret("openai" if version is None else "other", version)


def test_deleted_secret_is_not_found(server: EntraServer, client: SecretClient) -> None:
    """A deleted secret is not found, whatever the version."""
    version = server.set_secret("openai", "sk-1")
    server.delete_secret("openai")
    with pytest.raises(ResourceNotFoundError, match="SecretNotFound"):
        client.get_secret("openai", version)


def test_disabled_secret_is_forbidden(server: EntraServer, client: SecretClient) -> None:
    """A disabled version is forbidden until it is enabled again."""
    server.set_secret("openai", "sk-1")
    server.disable_secret("openai")
    with pytest.raises(HttpResponseError, match="SecretDisabled") as forbidden:
        client.get_secret("openai")
    assert 403 == forbidden.value.status_code
    server.enable_secret("openai")
    assert "sk-1" == client.get_secret("openai").value


def test_revoked_token_is_challenged_in_vain(server: EntraServer, client: SecretClient) -> None:
    """After a revocation SecretClient presents the cached token once more and fails."""
    server.set_secret("openai", "sk-1")
    client.get_secret("openai")
    server.revoke(server.issued[-1])
    with pytest.raises(ClientAuthenticationError, match="AKV10063"):
        client.get_secret("openai")
    assert 1 == len(server.issued)


@pytest.mark.parametrize(
    ("scope", "directory_id", "code"),
    [
        (f"{RESOURCE}/.default", "d", None),
        (RESOURCE, "d", None),
        ("https://cognitiveservices.azure.com/.default", "d", "AKV10022"),
        (f"{RESOURCE}/.default", "other", "AKV10032"),
    ],
)
def test_token_has_to_be_for_the_vault(
    vault: KeyVault,
    ledger: TokenLedger,
    make_call: Callable[..., Call],
    scope: str,
    directory_id: str,
    code: str | None,
) -> None:
    """Only a token for Key Vault from the vault's own directory is let in."""
    token = ledger.issue("federated", client_id="app", directory_id=directory_id, scope=scope)
    reply = get(vault, make_call, f"Bearer {token.value}", **{"api-version": "7.5"})
    assert (200 if code is None else 401) == reply.status
    assert code is None or code in str(reply.body)


@pytest.mark.parametrize("authorization", ["", "Bearer", "Basic dXNlcg==", "Bearer unknown"])
def test_missing_token_is_challenged(
    vault: KeyVault, make_call: Callable[..., Call], authorization: str
) -> None:
    """Who has no token is told where to get one and for which resource."""
    reply = get(vault, make_call, authorization)
    expected = f'Bearer authorization="https://entra.test/d", resource="{RESOURCE}"'
    assert (401, expected) == (reply.status, reply.headers["WWW-Authenticate"])


def test_api_version_is_required(
    vault: KeyVault, ledger: TokenLedger, make_call: Callable[..., Call]
) -> None:
    """A request without an API version is a bad one."""
    token = ledger.issue("federated", client_id="app", directory_id="d", scope=RESOURCE)
    reply = get(vault, make_call, f"Bearer {token.value}")
    assert (400, "BadParameter") == (reply.status, code_of(reply))


def test_what_is_not_there_cannot_change(vault: KeyVault) -> None:
    """Disabling or deleting an unknown secret or version is an error."""
    with pytest.raises(KeyError):
        vault.enable("unknown", None, enabled=False)
    with pytest.raises(KeyError):
        vault.enable("openai", "unknown", enabled=False)
    with pytest.raises(KeyError):
        vault.delete("unknown")


def test_failure_has_a_code(vault: KeyVault) -> None:
    """A planned failure is worded as Key Vault words its own."""
    reply = vault.failure(429, "Throttled: too many requests")
    assert (429, "Throttled") == (reply.status, code_of(reply))
