"""`FakeRegistry` is a registry in every way that a service can see, and needs nothing to run."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import openai
import pytest

from tenantry import (
    ClientRegistry,
    CredentialUnavailableError,
    TenantDisabledError,
    UnknownTenantError,
    use_tenant,
)
from tenantry.testing import FakeRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IDLE_AFTER = 600.0  # seconds; the default
DAY = 86400.0

WITHOUT_SERVERS = """\
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("cryptography", "starlette", "uvicorn"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocked())
from tenantry.testing import FakeRegistry
with FakeRegistry() as registry:
    print(registry.client("acme").responses.create(model="any", input="hi").output_text)
"""


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry("acme", "globex") as made:
        yield made


def test_it_is_a_registry(registry: FakeRegistry) -> None:
    """It can be injected wherever a registry is wanted, and hands out the SDK's real clients."""
    assert isinstance(registry, ClientRegistry)
    assert isinstance(registry.client("acme"), openai.OpenAI)
    assert isinstance(registry.async_client("acme"), openai.AsyncOpenAI)
    assert ["acme", "globex"] == list(registry.tenants)
    with use_tenant("globex"):
        assert registry.client() is registry.client("globex")


def test_declared_tenants_are_all_there_are(registry: FakeRegistry) -> None:
    """Where names are given, another name is the error that a service has to handle."""
    with pytest.raises(UnknownTenantError, match="acme"):
        registry.client("acmee")


@pytest.mark.parametrize(
    "misspelt",
    [
        lambda registry: registry.reply("acmee", "Hello"),
        lambda registry: registry.reply_json("acmee", "models", {}),
        lambda registry: registry.fail_next("acmee", 500),
        lambda registry: registry.sent("acmee"),
        lambda registry: registry.rotate_now("acmee"),
        lambda registry: registry.withhold("acmee"),
        lambda registry: registry.deliver("acmee"),
    ],
)
def test_a_misspelt_tenant_is_told(registry: FakeRegistry, misspelt: Any) -> None:
    """A test that names a tenant that there is not fails, and does not pass for nothing."""
    with pytest.raises(UnknownTenantError, match="acmee"):
        misspelt(registry)


def test_without_names_every_name_is_a_tenant() -> None:
    """Tenants come to be when they are asked for; what cannot be a name is unknown."""
    with FakeRegistry() as registry:
        registry.client("anybody").models.list()
        assert ["anybody"] == list(registry.tenants)
        with pytest.raises(UnknownTenantError):
            registry.client("../etc")


async def test_replies_are_said_in_every_way(registry: FakeRegistry) -> None:
    """One text answers chat and responses, whole and streamed, sync and async."""
    registry.reply("acme", "Hello there")
    client, aclient = registry.client("acme"), registry.async_client("acme")
    chunks = client.chat.completions.create(model="any", messages=[], stream=True)
    said = [
        client.responses.create(model="any", input="hi").output_text,
        "".join(chunk.choices[0].delta.content or "" for chunk in chunks),
        (await aclient.chat.completions.create(model="any", messages=[]))
        .choices[0]
        .message.content,
    ]
    async with aclient.responses.stream(model="any", input="hi") as stream:
        said.append((await stream.get_final_response()).output_text)
    assert ["Hello there"] * 4 == said
    assert {} == registry.drain(0)


def test_texts_are_said_in_turn(registry: FakeRegistry) -> None:
    """Each text is said once, and the last one from then on; another tenant says its own."""
    registry.reply("acme", "one", "two")
    client = registry.client("acme")
    said = [client.responses.create(model="any", input="hi").output_text for _ in range(3)]
    assert ["one", "two", "two"] == said
    assert "one" != registry.client("globex").responses.create(model="any", input="").output_text
    with pytest.raises(ValueError, match="at least one"):
        registry.reply("acme")


def test_any_path_can_be_given_an_answer(registry: FakeRegistry) -> None:
    """A JSON body answers a path, with any status; without one, the refusal says how."""
    client = registry.client("acme")
    with pytest.raises(openai.NotFoundError, match="reply_json"):
        client.moderations.create(input="hi")
    registry.reply_json("acme", "moderations", {"id": "modr-1", "model": "any", "results": []})
    assert "modr-1" == client.moderations.create(input="hi").id
    registry.reply_json("acme", "/moderations", {"error": {"message": "no"}}, status=403)
    with pytest.raises(openai.PermissionDeniedError):
        client.moderations.create(input="hi")


def test_a_rotation_fails_no_request(registry: FakeRegistry) -> None:
    """After a rotation the old key is refused, and the request is sent again with the new one."""
    client = registry.client("acme")
    client.models.list()
    registry.rotate_now("acme")
    client.models.list()
    assert [(200, "1"), (401, "1"), (200, "2")] == [
        (sent.status, sent.version) for sent in registry.sent("acme")
    ]


def test_a_key_that_is_not_revoked_serves_until_it_is_refreshed(registry: FakeRegistry) -> None:
    """With `revoke=False` the next refresh brings the new key, five minutes later at the latest."""
    client = registry.client("acme")
    client.models.list()
    registry.rotate_now("acme", revoke=False)
    client.models.list()
    registry.advance(330)
    client.models.list()
    assert ["1", "1", "2"] == [sent.version for sent in registry.sent()]


def test_a_key_expires(registry: FakeRegistry) -> None:
    """A source that delivers nothing is survived for a day, and not for two."""
    client = registry.client("acme")
    client.models.list()
    registry.withhold("acme")
    registry.advance(DAY / 2)
    client.models.list()
    registry.advance(DAY)
    with pytest.raises(CredentialUnavailableError, match="withheld"):
        client.models.list()
    registry.deliver("acme")
    registry.advance(60)
    client.models.list()


def test_idle_clients_are_evicted(registry: FakeRegistry) -> None:
    """After `idle_after` without a request the registry lets go of a client, and not before."""
    registry.client("acme").models.list()
    registry.advance(IDLE_AFTER - 1)
    registry.client("globex").models.list()
    registry.advance(1)
    assert () == registry.status("acme").clients
    assert ("SealedOpenAI",) == registry.status("globex").clients


def test_nothing_sent_shows_a_key(registry: FakeRegistry) -> None:
    """What was sent is kept with its body and headers, without the credentials."""
    registry.client("acme").responses.create(
        model="any", input="hi", extra_headers={"X-Trace": "7"}, extra_query={"a": "b"}
    )
    [sent] = registry.sent("acme")
    assert ("POST", "/v1/responses", "hi") == (sent.method, sent.path, sent.json()["input"])
    assert ("7", "b") == (sent.headers["X-Trace"], sent.query["a"])
    assert "authorization" not in sent.headers
    assert "sk-fake" not in f"{sent!r}{dict(sent.headers)}"
    registry.forget_sent()
    assert () == registry.sent()


CONFIGURATION = """\
sources:
  vault: {address: "https://vault.invalid:8200", auth: {token: {env: VAULT_TOKEN}}}
defaults:
  api_key: {vault: "tenants/{tenant}"}
profiles:
  apim: {default_headers: {X-Gate: {vault: {path: "apim/{tenant}", field: gate}}}}
tenants:
  acme:
    base_url: https://gateway.invalid/acme/v1
    profile: apim
    webhook_secret: {vault: "tenants/{tenant}"}
    tls: {certificate: {vault: "tls/{tenant}"}, key: {vault: "tls/{tenant}"}}
  globex:
    provider: azure
    azure_endpoint: https://globex.invalid
    api_version: "2024-10-21"
  hooli: {enabled: false}
"""


def test_a_configuration_of_ones_own_needs_none_of_its_sources(tmp_path: Path) -> None:
    """Any configuration opens, with its addresses and headers; every secret in it is made up."""
    file = tmp_path / "tenants.yaml"
    file.write_text(CONFIGURATION)
    with FakeRegistry.open(file, environ={}) as registry:
        registry.client("acme").models.list()
        registry.client("globex").chat.completions.create(model="any", messages=[])
        with pytest.raises(TenantDisabledError):
            registry.client("hooli")
        assert ["/acme/v1/models", "/openai/deployments/any/chat/completions"] == [
            sent.path for sent in registry.sent()
        ]
        assert {"acme": None, "globex": None} == registry.warm(("acme", "globex"))
        assert "x-gate" not in registry.sent("acme")[0].headers
        assert not registry.reload()


def test_it_needs_no_package_of_the_servers() -> None:
    """Whoever tests with it installs neither starlette nor uvicorn nor cryptography."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_SERVERS], capture_output=True, text=True, check=False
    )
    assert (0, "Hello from tenantry.\n") == (done.returncode, done.stdout), done.stderr
