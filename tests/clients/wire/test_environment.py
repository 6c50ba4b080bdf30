"""What stands on a client is the tenant's: the environment speaks only for those who ask for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai

if TYPE_CHECKING:
    import pytest
    from tests.clients.wire.conftest import Acme, Poison

SAID: dict[str, Any] = {"api_key": {"literal": "sk-acme-1"}}


def test_nothing_of_the_environment_stands_on_the_client(tapped: Acme, poison: Poison) -> None:
    """No attribute of client or clone holds what a variable says."""
    poison.spread()
    client = tapped.of(tapped.registry(SAID, {}))
    for each in (client, client.with_options(timeout=5)):
        assert (None, None, None) == (each.organization, each.project, each.webhook_secret)
        assert getattr(each, "admin_api_key", None) is None
        assert poison.mark not in repr(vars(each))
        assert tapped.tap.url in str(each.base_url)


def test_an_empty_base_url_variable_changes_nothing(
    tapped: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK takes even an empty OPENAI_BASE_URL for an address; a tenant's client does not."""
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    client = tapped.of(tapped.registry(SAID, {}))
    assert str(client.base_url) == str(client.with_options(timeout=5).base_url)
    assert tapped.tap.url in str(client.base_url)


async def test_a_tenant_may_ask_for_the_environment(tapped: Acme, poison: Poison) -> None:
    """`inherit_environment` takes the SDK's variables from the registry's environment alone."""
    poison.spread()
    environ = {"OPENAI_ORG_ID": "org-acme", "OPENAI_PROJECT_ID": "proj-acme"}
    client = tapped.of(tapped.registry({**SAID, "inherit_environment": True}, environ))
    await tapped.settle(client.with_options(timeout=5).models.list())
    [message] = tapped.tap.taken()
    assert [b"org-acme"] == message.named(b"openai-organization")
    assert [b"proj-acme"] == message.named(b"openai-project")
    assert poison.mark.encode() not in message.head


def test_the_sdk_still_reads_these_variables(poison: Poison) -> None:
    """A plain client does read the environment: what the sealed ones put back is not idle."""
    poison.spread()
    with openai.DefaultHttpxClient(trust_env=False) as http:
        plain = openai.OpenAI(http_client=http)
        said = (plain.api_key, plain.organization, plain.project, plain.webhook_secret)
        assert all(poison.mark in (value or "") for value in said)
        assert poison.variables["OPENAI_BASE_URL"] in str(plain.base_url)
