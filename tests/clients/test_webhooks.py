"""Checking webhooks while their secret changes: also with the value before, and the one to come."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import openai
import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.clients.conftest import Acme

SECRET = "of-acme-0123456789"
BEFORE = "of-acme-before-0123456789"
UNSIGNED = {"webhook-id": "wh_1", "webhook-timestamp": "0", "webhook-signature": "v1,"}
UNDATED = {**UNSIGNED, "webhook-timestamp": "yesterday"}


async def rotated(acme: Acme) -> Any:
    """Return the webhooks of a client whose tenant has two values."""
    environ = {"WEBHOOK": BEFORE}
    registry = acme.registry(webhook_secret={"env": "WEBHOOK"}, environ=environ)
    client: Any = acme.of(registry)
    await registry.arefresh("acme")
    environ["WEBHOOK"] = SECRET
    await registry.arefresh("acme")
    return client.webhooks


def with_locals(error: BaseException) -> str:
    """Return an error as it is written with its frames, and the locals of all but the test's."""
    assert error.__traceback__ is not None
    error.__traceback__ = error.__traceback__.tb_next
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


@pytest.mark.parametrize("headers", [UNSIGNED, UNDATED, {}], ids=["late", "undated", "none"])
@pytest.mark.parametrize("verb", ["unwrap", "verify_signature"])
async def test_no_frame_of_a_refusal_holds_the_secret(
    acme: Acme, headers: Mapping[str, str], verb: str
) -> None:
    """Whoever writes tracebacks with their locals sees no value, nor one that the caller passed."""
    webhooks = await rotated(acme)
    for said in ({}, {"secret": SECRET}, {"secret": "the-callers-own"}):
        with pytest.raises((openai.InvalidWebhookSignatureError, ValueError)) as caught:
            getattr(webhooks, verb)("{}", headers, **said)
        shown = with_locals(caught.value)
        assert f"in {verb}" in shown
        assert [] == [each for each in (SECRET, BEFORE, "the-callers-own") if each in shown]


async def test_a_refusal_is_the_sdks_own(acme: Acme) -> None:
    """Its type and its words are those of the SDK's class."""
    webhooks = await rotated(acme)
    sdk = openai.OpenAI(api_key="k", webhook_secret=SECRET).webhooks
    for headers in (UNSIGNED, UNDATED, {}):
        with pytest.raises((openai.InvalidWebhookSignatureError, ValueError)) as theirs:
            sdk.unwrap("{}", headers)
        with pytest.raises(type(theirs.value)) as ours:
            webhooks.unwrap("{}", headers)
        assert (theirs.type, str(theirs.value)) == (ours.type, str(ours.value))


async def test_what_the_caller_was_in_the_middle_of_keeps_its_frames(acme: Acme) -> None:
    """Only what arose within the check loses them."""
    webhooks = await rotated(acme)

    def failing() -> None:
        try:
            raise KeyError("the caller's")
        finally:
            webhooks.unwrap("{}", UNDATED)

    with pytest.raises(openai.InvalidWebhookSignatureError) as caught:
        failing()
    outer = caught.value.__context__
    assert isinstance(outer, KeyError)
    assert outer.__traceback__ is not None
