"""The mistakes that everybody makes first: each gives one clear error, and shows no secret."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from tenantry import ClientRegistry, ConfigError, CredentialUnavailableError, UnknownTenantError

if TYPE_CHECKING:
    from pathlib import Path

    from tenantry.testing import OpenAIServer, VaultServer

SECRET_ID = "planted-secret-id-0123456789"
KEY = "sk-planted-0123456789"

CONFIGURATION = """\
sources:
  vault:
    address: {vault}
    auth: {{approle: {{role_id: {role_id}, secret_id: {{env: SECRET_ID}}}}}}
defaults: {{base_url: "{base_url}"}}
tenants:
  acme: {{api_key: {{vault: tenants/acme}}}}
"""


class World:
    """A configuration file, the servers that it points at, and what went wrong."""

    def __init__(self, directory: Path, openai: OpenAIServer, vault: VaultServer) -> None:
        self.file = directory / "tenants.yaml"
        self.vault = vault
        vault.put("tenants/acme", {"api_key": KEY})
        vault.add_policy("tenants", 'path "secret/data/tenants/*" { capabilities = ["read"] }')
        role_id, self.secret_id = vault.approle("acme", policies=["tenants"])
        self.said = {"vault": vault.url, "role_id": role_id, "base_url": openai.base_url}
        self.environ = {"SECRET_ID": self.secret_id}

    def write(self, text: str = CONFIGURATION, **said: str) -> None:
        self.file.write_text(text.format(**{**self.said, **said}))

    def ask(self, tenant: str = "acme") -> None:
        with ClientRegistry.open(self.file, environ=self.environ) as registry:
            client: Any = registry.client(tenant)
            client.models.list()

    def error(self, kind: type[Exception], tenant: str = "acme") -> str:
        with pytest.raises(kind) as caught:
            self.ask(tenant)
        shown = "".join(traceback.format_exception(caught.value))
        for secret in (SECRET_ID, KEY, self.secret_id):
            assert secret not in shown
        return str(caught.value).replace(f"{self.file.parent}/", "")


@pytest.fixture
def world(
    tmp_path: Path,
    openai_server: OpenAIServer,
    vault_server: VaultServer,
    caplog: pytest.LogCaptureFixture,
) -> World:
    caplog.set_level(logging.DEBUG)
    openai_server.allow(KEY)
    return World(tmp_path, openai_server, vault_server)


def test_without_a_mistake_it_works(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The configuration that the others get wrong is right, and nothing logs its secrets."""
    world.write()
    world.ask()
    assert KEY not in caplog.text
    assert world.secret_id not in caplog.text


def test_a_misspelt_tenant(world: World) -> None:
    """An unknown tenant is answered with the name that was meant."""
    world.write()
    told = world.error(UnknownTenantError, "amce")
    assert "unknown tenant 'amce': did you mean 'acme'?" == told


def test_a_missing_file(world: World) -> None:
    """A file that is not there is named."""
    assert "tenants.yaml: there is no such file" in world.error(ConfigError)


def test_a_syntax_error(world: World) -> None:
    """What is not YAML is shown where it stopped to be."""
    world.write("tenants:\n  acme: {{api_key: {{env: KEY}}\n  globex: 1\n")
    assert "tenants.yaml:3:3: not YAML" in world.error(ConfigError)


def test_a_misspelt_source(world: World) -> None:
    """An unknown source is named with its line, and with those that there are."""
    world.write(CONFIGURATION.replace("{{vault: tenants", "{{vualt: tenants"))
    told = world.error(ConfigError)
    assert "tenants.yaml:7:10: tenants.acme.api_key: unknown source" in told
    assert "vault" in told


def test_a_vault_that_cannot_be_reached(world: World) -> None:
    """A dead Vault is named with its address, the tenant, and what to check."""
    world.write()
    world.vault.stop()
    told = world.error(CredentialUnavailableError)
    assert told.startswith("no credential for tenant 'acme': api_key from vault tenants/acme: ")
    assert world.said["vault"] in told
    assert "check the address and the network" in told


def test_a_wrong_secret_id(world: World) -> None:
    """A login that Vault refuses is told in Vault's words, and not with the secret id."""
    world.write()
    world.environ["SECRET_ID"] = SECRET_ID
    told = world.error(CredentialUnavailableError)
    assert "tenant 'acme'" in told
    assert "invalid secret id" in told
    assert "check the role and its secret" in told
