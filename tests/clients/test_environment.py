"""Whatever the environment says, a tenant's client sends the same bytes to the same place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import openai
import pytest
from pydantic import SecretStr

if TYPE_CHECKING:
    from tests.clients.conftest import Acme, Client

FOREIGN = "of-the-environment"
POISON = {
    "OPENAI_API_KEY": f"sk-{FOREIGN}",
    "OPENAI_ADMIN_KEY": f"sk-admin-{FOREIGN}",
    "OPENAI_ORG_ID": f"org-{FOREIGN}",
    "OPENAI_PROJECT_ID": f"proj-{FOREIGN}",
    "OPENAI_WEBHOOK_SECRET": f"whsec-{FOREIGN}",
    "OPENAI_BASE_URL": "http://127.0.0.1:9/elsewhere",
    "OPENAI_CUSTOM_HEADERS": f"Authorization: Bearer {FOREIGN}\napi-key: {FOREIGN}\nX-Evil: yes",
    "AZURE_OPENAI_API_KEY": f"azure-{FOREIGN}",
    "AZURE_OPENAI_AD_TOKEN": f"token-{FOREIGN}",
    "AZURE_OPENAI_ENDPOINT": "http://127.0.0.1:9",
    "OPENAI_API_VERSION": "1999-01-01",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
    "SSL_CERT_FILE": "/nowhere/ca.pem",
    "SSL_CERT_DIR": "/nowhere",
}
# What differs between any two processes or requests.
VARYING = {"content-length", "x-stainless-retry-count", "idempotency-key"}


def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in POISON.items():
        monkeypatch.setenv(name, value)
        if name.endswith("PROXY"):
            monkeypatch.setenv(name.lower(), value)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


async def wire(acme: Acme, client: Client) -> list[tuple[object, ...]]:
    """Use a client and clones of it, three deep, and return all that the server received."""
    clones = [client]
    for options in ({"timeout": 5}, {"max_retries": 1}, {"default_headers": {"X-One": "1"}}):
        clones.append(clones[-1].with_options(**options))
    acme.server.clear()
    for each in clones:
        await acme.chat(each)
        await acme.models(each)
        await acme.streamed(each)
    return [
        (
            request.method,
            request.path,
            request.query,
            [pair for pair in request.headers if pair[0] not in VARYING],
        )
        for request in acme.server.requests
    ]


KEYS: dict[str, dict[str, Any]] = {
    "static": {},
    "refreshed": {"api_key": lambda: "sk-acme-0123456789", "refresh": {"every": 0}},
    "with all else": {
        "organization": "org-acme",
        "project": "proj-acme",
        "default_headers": {"X-Team": "blue"},
        "default_query": {"team": "blue"},
    },
}


@pytest.mark.parametrize("said", KEYS.values(), ids=KEYS)
async def test_the_environment_changes_nothing(
    acme: Acme, monkeypatch: pytest.MonkeyPatch, said: dict[str, Any]
) -> None:
    """With every variable poisoned, headers and URLs of client and clones are those of before."""
    clean = await wire(acme, acme.client(**said))
    poison(monkeypatch)
    poisoned = await wire(acme, acme.client(**said))
    assert clean == poisoned
    assert not re.search(FOREIGN, repr(poisoned))


async def test_a_token_is_not_displaced(azure_acme: Acme, monkeypatch: pytest.MonkeyPatch) -> None:
    """Azure tenants that say a token keep it under a poisoned environment."""
    azure_acme.server.allow(azure_acme.newer_key)
    said: dict[str, Any] = {"azure_ad_token": SecretStr(azure_acme.newer_key)}
    clean = await wire(azure_acme, azure_acme.client(**said))
    poison(monkeypatch)
    assert clean == await wire(azure_acme, azure_acme.client(**said))


async def test_a_client_is_not_poisoned_after_it_was_built(
    acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK reads the environment again in every copy; clones of a clean client stay clean."""
    client = acme.client()
    clean = await wire(acme, client)
    poison(monkeypatch)
    assert clean == await wire(acme, client)


def test_nothing_of_the_environment_stands_on_the_client(
    acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No attribute of client or clone holds what a variable says."""
    poison(monkeypatch)
    client = acme.client()
    for each in (client, client.with_options(timeout=5)):
        assert (None, None, None) == (each.organization, each.project, each.webhook_secret)
        assert getattr(each, "admin_api_key", None) is None
        assert FOREIGN not in repr(vars(each))
        assert acme.server.url in str(each.base_url)


def test_an_empty_base_url_variable_changes_nothing(
    acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK takes even an empty OPENAI_BASE_URL for an address; a tenant's client does not."""
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    client = acme.client()
    assert str(client.base_url) == str(client.with_options(timeout=5).base_url)
    assert acme.server.url in str(client.base_url)


async def test_a_tenant_may_ask_for_the_environment(
    acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`inherit_environment` takes the SDK's variables from the registry's environment alone."""
    poison(monkeypatch)
    environ = {"OPENAI_ORG_ID": "org-acme", "OPENAI_PROJECT_ID": "proj-acme"}
    client = acme.client(inherit_environment=True, environ=environ)
    request = await acme.sent(client.with_options(timeout=5))
    assert ("org-acme", "proj-acme") == (
        request.header["openai-organization"],
        request.header["openai-project"],
    )
    assert FOREIGN not in repr(request.headers)


def test_the_sdk_still_reads_these_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain client does read the environment: what the sealed ones put back is not idle."""
    for name in ("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_WEBHOOK_SECRET"):
        monkeypatch.setenv(name, POISON[name])
    plain = openai.OpenAI(api_key="sk-plain", http_client=openai.DefaultHttpxClient())
    said = (plain.organization, plain.project, plain.webhook_secret)
    plain.close()
    assert all(FOREIGN in (value or "") for value in said)
