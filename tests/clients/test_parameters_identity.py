"""`workload_identity`: a platform's token is exchanged for one of OpenAI's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import openai
import pytest
from openai.auth import WorkloadIdentity

from tenantry import CredentialUnavailableError

if TYPE_CHECKING:
    from tests.clients.conftest import Acme


def said(acme: Acme) -> dict[str, Any]:
    identity: dict[str, Any] = {
        "identity_provider_id": "idp_1",
        "service_account_id": "svc_acme",
        "subject_token": {"env": "SUBJECT_TOKEN"},
        "token_exchange_url": acme.server.token_exchange_url,
    }
    if "client_id" in WorkloadIdentity.__required_keys__:  # as 2.31 demands
        identity["client_id"] = "client_1"
    return {"workload_identity": identity, "environ": {"SUBJECT_TOKEN": "jwt-of-the-platform"}}


async def test_the_exchanged_token_is_sent(openai_acme: Acme) -> None:
    """The subject token goes to the exchange, and what comes back is the tenant's key."""
    client = openai_acme.client(**said(openai_acme))
    request = await openai_acme.sent(client)
    exchange = openai_acme.server.requests[0]
    assert ("svc_acme", "jwt-of-the-platform") == (
        request.tenant,
        exchange.json()["subject_token"],
    )


async def test_clones_share_one_exchange(openai_acme: Acme) -> None:
    """Five clones and their requests exchange once."""
    before = openai_acme.server.exchanges
    client = openai_acme.client(**said(openai_acme))
    for _ in range(5):
        await openai_acme.chat(client.with_options(timeout=5))
    assert before + 1 == openai_acme.server.exchanges


async def test_a_revoked_token_is_exchanged_anew(openai_acme: Acme) -> None:
    """A token that is answered 401 is exchanged once more, and the request sent again."""
    client = openai_acme.client(**said(openai_acme))
    first = await openai_acme.sent(client)
    openai_acme.server.revoke(openai_acme.credential_of(first))
    second = await openai_acme.sent(client)
    assert 200 == second.status
    assert openai_acme.credential_of(first) != openai_acme.credential_of(second)


async def test_a_refused_exchange_is_our_own_error(openai_acme: Acme) -> None:
    """Where the exchange is refused the error names tenant and setting, after one exchange."""
    openai_acme.server.fail_next(403, times=None, path="/oauth/token")
    client = openai_acme.client(**said(openai_acme))
    for _ in range(3):
        with pytest.raises(CredentialUnavailableError, match="workload_identity") as caught:
            await openai_acme.chat(client)
        assert "acme" == caught.value.tenant
        assert isinstance(caught.value, openai.OpenAIError)
    assert 1 == len(openai_acme.server.requests)


async def test_many_requests_wait_for_one_exchange(openai_acme: Acme) -> None:
    """Requests that arrive together exchange once."""
    before = openai_acme.server.exchanges
    client = openai_acme.client(**said(openai_acme))
    await asyncio.gather(*(openai_acme.chat(client) for _ in range(8)))
    assert before + 1 == openai_acme.server.exchanges
