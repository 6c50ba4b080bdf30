"""Secrets are sent, and shown nowhere: they come into a request just before it is sent."""

from __future__ import annotations

import base64
import logging
import pickle
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import openai
import pytest
from pydantic import SecretStr

if TYPE_CHECKING:
    from tests.clients.conftest import Acme

SIGNATURE = "sig/planted+0123456789="
NEWER = "sig/newer+0123456789="


def forms(secret: str) -> tuple[str, ...]:
    encoded = base64.b64encode(secret.encode()).decode()
    return secret, quote(secret), quote(secret, safe=""), quote_plus(secret), encoded


def assert_hidden(text: str) -> None:
    assert [] == [form for secret in (SIGNATURE, NEWER) for form in forms(secret) if form in text]


async def test_a_secret_of_the_query_is_sent_and_not_logged(
    acme: Acme, caplog: pytest.LogCaptureFixture
) -> None:
    """The service gets the secret; no log of any library shows it, at any level."""
    caplog.set_level(logging.DEBUG)
    client = acme.client(default_query={"signature": SecretStr(SIGNATURE), "plain": "1"})
    request = await acme.sent(client)
    assert ([SIGNATURE], ["1"]) == (request.query["signature"], request.query["plain"])
    assert any("plain=1" in record.getMessage() for record in caplog.records)
    assert_hidden(caplog.text)


async def test_a_response_shows_no_secret_of_its_query(acme: Acme) -> None:
    """What a caller reads of a response, and of its request, has the placeholder."""
    client = acme.client(default_query={"signature": SecretStr(SIGNATURE)})
    raw: Any = client.chat.completions.with_raw_response
    said: Any = {"model": acme.model, "messages": [{"role": "user", "content": "hi"}]}
    response = await acme.settle(raw.create(**said))
    shown = (response.url, response.http_request.url, response.http_response)
    assert "signature=tenantry" in str(response.url)
    assert_hidden("".join(map(repr, shown)) + "".join(map(str, shown)))


async def test_an_error_shows_no_secret_of_its_query(acme: Acme) -> None:
    """The SDK's error, and the request that it holds, have the placeholder."""
    client = acme.client(default_query={"signature": SecretStr(SIGNATURE)}, max_retries=0)
    acme.server.fail_next(400)
    with pytest.raises(openai.BadRequestError) as caught:
        await acme.chat(client)
    assert_hidden(f"{caught.value!r} {caught.value.request.url} {caught.value.response.url}")


async def test_a_redirect_that_repeats_the_secret_is_followed(
    acme: Acme, caplog: pytest.LogCaptureFixture
) -> None:
    """A redirect within the tenant's address may repeat the query: sent again, and not logged.

    But by httpcore, whose DEBUG level shows what a service answers before anybody sees it.
    """
    caplog.set_level(logging.INFO)
    client = acme.client(default_query={"signature": SecretStr(SIGNATURE)})
    path = "/openai/elsewhere" if acme.kind.is_azure else "/v1/elsewhere"
    acme.server.redirect_next(f"{path}?signature={quote(SIGNATURE, safe='')}&api-version=1")
    with pytest.raises(openai.NotFoundError):
        await acme.chat(client)
    assert [[SIGNATURE]] * 2 == [request.query["signature"] for request in acme.server.requests]
    assert_hidden(caplog.text)


async def test_a_redirect_without_the_query_does_not_get_it(acme: Acme) -> None:
    """Where the service leads elsewhere within the address, its own query counts."""
    client = acme.client(default_query={"signature": SecretStr(SIGNATURE)})
    acme.server.redirect_next("/openai/elsewhere" if acme.kind.is_azure else "/v1/elsewhere")
    with pytest.raises(openai.NotFoundError):
        await acme.chat(client)
    assert "signature" not in acme.server.requests[-1].query


async def test_a_caller_who_repeats_the_secret_is_not_shown_it(
    acme: Acme, caplog: pytest.LogCaptureFixture
) -> None:
    """A query that says the secret itself is sent as it is, and logged with the placeholder."""
    caplog.set_level(logging.DEBUG)
    client = acme.client(default_query={"signature": SecretStr(SIGNATURE)})
    await acme.chat(client)
    await acme.chat(client, extra_query={"signature": SIGNATURE})
    assert [[SIGNATURE]] * 2 == [request.query["signature"] for request in acme.server.requests]
    assert_hidden("".join(each.getMessage() for each in caplog.records if "httpx" in each.name))


async def test_an_errors_request_shows_no_secret(acme: Acme) -> None:
    """An error that is kept or pickled holds the request as it was before its secrets came."""
    client = acme.client(
        max_retries=0, default_headers={"X-Signature": SecretStr(SIGNATURE), "X-Team": "blue"}
    )
    acme.server.fail_next(401, times=2)
    with pytest.raises(openai.AuthenticationError) as caught:
        await acme.chat(client)
    request = acme.server.requests[-1]
    assert (acme.key, SIGNATURE) == (acme.credential_of(request), request.header["x-signature"])
    shown = repr(list(caught.value.request.headers.multi_items()))
    shown += repr(list(caught.value.response.request.headers.multi_items()))
    pickled = pickle.dumps(caught.value.request).decode("latin-1")
    assert "blue" in shown
    assert acme.key not in shown + pickled
    assert_hidden(shown + pickled)


async def test_headers_are_filled_in_behind_a_redirect_too(acme: Acme) -> None:
    """Each hop within the tenant's address carries what the first one did."""
    client = acme.client(default_headers={"X-Signature": SecretStr(SIGNATURE)})
    version = f"?api-version={acme.api_version}"
    path = f"/openai/elsewhere{version}" if acme.kind.is_azure else "/v1/elsewhere"
    acme.server.redirect_next(path)
    with pytest.raises(openai.NotFoundError):
        await acme.chat(client)
    sent = [(acme.credential_of(each), each.header["x-signature"]) for each in acme.server.requests]
    assert [(acme.key, SIGNATURE)] * 2 == sent
