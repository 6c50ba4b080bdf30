"""`webhook_secret`: the secret that is held signs, and no other does."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any

import openai
import pytest

from tenantry import ClientRegistry, CredentialUnavailableError

if TYPE_CHECKING:
    from tests.clients.conftest import Acme

SECRET = "whsec_" + base64.b64encode(b"of acme, 0123456789").decode()
PAYLOAD = json.dumps(
    {
        "id": "evt_1",
        "object": "event",
        "created_at": 1_700_000_000,
        "type": "response.completed",
        "data": {"id": "resp_1"},
    }
)
SAID: dict[str, Any] = {"webhook_secret": {"env": "WEBHOOK"}, "environ": {"WEBHOOK": SECRET}}


def signed(key: bytes) -> dict[str, str]:
    """Return the headers of a webhook that is signed with `key`."""
    now = str(int(time.time()))
    digest = hmac.new(key, f"wh_1.{now}.{PAYLOAD}".encode(), hashlib.sha256).digest()
    return {
        "webhook-id": "wh_1",
        "webhook-timestamp": now,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


def own() -> dict[str, str]:
    return signed(base64.b64decode(SECRET.removeprefix("whsec_")))


async def test_a_webhook_is_unwrapped(acme: Acme) -> None:
    """A correctly signed webhook is unwrapped once the tenant's secrets were fetched."""
    registry = acme.registry(**SAID)
    client = acme.of(registry)
    await registry.arefresh("acme")
    assert "evt_1" == client.webhooks.unwrap(PAYLOAD, own()).id


async def test_clones_unwrap_too(acme: Acme) -> None:
    """The secret survives `with_options`, three deep, whenever the clone was made."""
    registry = acme.registry(**SAID)
    before = acme.of(registry).with_options(timeout=5).with_options(max_retries=0).copy()
    await registry.arefresh("acme")
    assert "evt_1" == before.webhooks.unwrap(PAYLOAD, own()).id
    assert "evt_1" == before.copy().webhooks.unwrap(PAYLOAD, own()).id


async def test_the_first_request_fetches_the_secret(acme: Acme) -> None:
    """The secret is fetched along with the tenant's first request, without holding it up."""
    fetched: list[str] = []

    def fetch() -> str:
        fetched.append("once")
        return SECRET

    registry = acme.registry(webhook_secret=fetch)
    client = acme.of(registry)
    assert [] == fetched
    await acme.chat(client)
    await registry.arefresh("acme")
    assert "evt_1" == client.webhooks.unwrap(PAYLOAD, own()).id


def test_before_it_is_fetched_it_is_unavailable(acme: Acme) -> None:
    """Until it was fetched the error names the tenant and the reference, and what to do."""
    client = acme.client(**SAID)
    with pytest.raises(CredentialUnavailableError, match="not fetched yet") as caught:
        client.webhooks.unwrap(PAYLOAD, own())
    assert ("acme", "webhook_secret from env WEBHOOK") == (
        caught.value.tenant,
        caught.value.reference,
    )


def test_without_one_the_sdks_own_error_arises(acme: Acme, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenant without `webhook_secret` has none, whatever the environment says."""
    monkeypatch.setenv("OPENAI_WEBHOOK_SECRET", SECRET)
    client = acme.client()
    for each in (client, client.with_options(timeout=5)):
        assert each.webhook_secret is None
        with pytest.raises(ValueError, match="webhook secret must"):
            each.webhooks.unwrap(PAYLOAD, own())


@pytest.mark.parametrize("said", [SAID, {}], ids=["with a secret", "without one"])
async def test_a_webhook_signed_with_the_empty_key_is_refused(
    acme: Acme, said: dict[str, Any]
) -> None:
    """Nobody can forge a webhook by signing with nothing, or with our placeholder."""
    registry = acme.registry(**said)
    client = acme.of(registry).with_options(timeout=5)
    await registry.arefresh("acme")
    for key in (b"", b"tenantry:webhook_secret", b"another"):
        with pytest.raises((openai.InvalidWebhookSignatureError, ValueError)):
            client.webhooks.unwrap(PAYLOAD, signed(key))


async def test_a_clone_may_have_a_secret_of_its_own(acme: Acme) -> None:
    """`with_options(webhook_secret=...)` is the SDK's own, and further clones inherit it."""
    client: Any = acme.client(**SAID)
    clone = client.with_options(webhook_secret="another").with_options(timeout=5)
    assert "evt_1" == clone.webhooks.unwrap(PAYLOAD, signed(b"another")).id


async def test_a_webhook_may_be_signed_with_the_secret_of_before(acme: Acme) -> None:
    """After a rotation both unwrap, on clones too, as long as the previous value is kept."""
    environ = {"WEBHOOK": "older", "KEY": acme.key}
    registry = acme.registry(webhook_secret={"env": "WEBHOOK"}, environ=environ)
    client = acme.of(registry)
    await registry.arefresh("acme")
    environ["WEBHOOK"] = "newer"
    await registry.arefresh("acme")
    for each in (client, client.with_options(timeout=5)):
        for key in (b"newer", b"older"):
            assert "evt_1" == each.webhooks.unwrap(PAYLOAD, signed(key)).id
            each.webhooks.verify_signature(PAYLOAD, signed(key))
        with pytest.raises(openai.InvalidWebhookSignatureError):
            each.webhooks.unwrap(PAYLOAD, signed(b"oldest"))
        with pytest.raises(openai.InvalidWebhookSignatureError):
            each.webhooks.unwrap(PAYLOAD, signed(b"older"), secret="the caller's own")
    await registry.arefresh("acme", drop_previous=True)
    with pytest.raises(openai.InvalidWebhookSignatureError):
        client.webhooks.unwrap(PAYLOAD, signed(b"older"))


async def test_a_rotated_secret_counts_at_once(acme: Acme) -> None:
    """After a refresh the client that was held all along unwraps with the newer secret."""
    environ = {"WEBHOOK": "older", "KEY": acme.key}
    said: dict[str, Any] = acme.settings({"api_key": {"env": "KEY"}})
    config = {"tenants": {"acme": {**said, "webhook_secret": {"env": "WEBHOOK"}}}}
    async with ClientRegistry.open(config, environ=environ) as registry:
        client = acme.of(registry)
        await registry.arefresh("acme")
        environ["WEBHOOK"] = SECRET
        await registry.arefresh("acme")
        assert "evt_1" == client.webhooks.unwrap(PAYLOAD, own()).id
