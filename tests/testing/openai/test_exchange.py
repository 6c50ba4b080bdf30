from __future__ import annotations

import http.client
import json
from contextlib import closing
from typing import TYPE_CHECKING, cast

import openai
import pytest
from openai.auth import WorkloadIdentityAuth

from tenantry.testing.openai import OpenAIServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openai.auth import WorkloadIdentity

SUBJECT_TOKEN = "subject-token"
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"
REQUEST = {
    "grant_type": GRANT_TYPE,
    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    "subject_token": SUBJECT_TOKEN,
    "identity_provider_id": "idp_1",
    "service_account_id": "acme",
}


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as running:
        yield running


def identity(server: OpenAIServer) -> WorkloadIdentityAuth:
    # openai 2 asks for a client_id, openai 3 does not know it: both read only what they know.
    fields = {
        "client_id": "client_1",
        "identity_provider_id": "idp_1",
        "service_account_id": "acme",
        "provider": {"token_type": "jwt", "get_token": lambda: SUBJECT_TOKEN},
    }
    return WorkloadIdentityAuth(
        workload_identity=cast("WorkloadIdentity", fields),
        token_exchange_url=server.token_exchange_url,
    )


def exchange(server: OpenAIServer, body: dict[str, str]) -> object:
    with openai.OpenAI(base_url=server.url, api_key="none", max_retries=0) as client:
        return client.post("/oauth/token", body=body, cast_to=object)


def call_with(server: OpenAIServer, token: str) -> None:
    with openai.OpenAI(base_url=server.base_url, api_key=token, max_retries=0) as client:
        client.models.list()


def test_an_exchanged_token_is_a_valid_key(server: OpenAIServer) -> None:
    """The SDK's own workload identity gets a token that the API accepts."""
    call_with(server, identity(server).get_token())
    last = server.requests[-1]
    assert (200, "acme", "1") == (last.status, last.tenant, last.version)


def test_the_exchange_is_recorded(server: OpenAIServer) -> None:
    """What the SDK sent for the exchange can be examined; it carries no key."""
    identity(server).get_token()
    (request,) = server.requests
    assert SUBJECT_TOKEN == request.json()["subject_token"]
    assert ("/oauth/token", None, 200) == (request.path, request.key, request.status)


def test_exchanges_are_counted(server: OpenAIServer) -> None:
    """A cached token is no exchange, another identity is."""
    first = identity(server)
    tokens = {first.get_token(), first.get_token(), identity(server).get_token()}
    assert (2, 2) == (len(tokens), server.exchanges)


def test_a_token_expires(server: OpenAIServer) -> None:
    """After its lifetime a token is refused."""
    server.token_lifetime = 0.0
    granted = cast("dict[str, object]", exchange(server, REQUEST))
    with pytest.raises(openai.AuthenticationError):
        call_with(server, str(granted["access_token"]))
    assert (0.0, 0.0) == (server.token_lifetime, granted["expires_in"])


def test_a_token_can_be_revoked(server: OpenAIServer) -> None:
    """A token is a key like others."""
    token = identity(server).get_token()
    server.revoke(token)
    with pytest.raises(openai.AuthenticationError):
        call_with(server, token)


def test_a_failure_is_worded_as_oauth(server: OpenAIServer) -> None:
    """The SDK understands a refused exchange as an OAuth error."""
    server.fail_next(401, path="/oauth/token")
    with pytest.raises(openai.OAuthError) as caught:
        identity(server).get_token()
    assert "invalid_client" == caught.value.error


def test_an_outage_is_no_oauth_error(server: OpenAIServer) -> None:
    """A 503 at the token endpoint reaches the SDK as such."""
    server.fail_next(503, path="/oauth/token")
    with pytest.raises(openai.OpenAIError, match="503"):
        identity(server).get_token()


@pytest.mark.parametrize("missing", sorted(REQUEST))
def test_every_field_is_needed(server: OpenAIServer, missing: str) -> None:
    """An exchange that lacks a field is refused, and the refusal names the field."""
    fields = {name: value for name, value in REQUEST.items() if name != missing}
    with pytest.raises(openai.BadRequestError) as caught:
        exchange(server, fields)
    assert f"missing or wrong: {missing}" == caught.value.response.json()["error_description"]
    assert 0 == server.exchanges


def test_a_certificate_needs_no_subject_token(server: OpenAIServer) -> None:
    """An X.509 identity sends its subject in the TLS handshake, not in the body."""
    fields = {name: value for name, value in REQUEST.items() if name != "subject_token"}
    kind = {"subject_token_type": "urn:openai:params:oauth:token-type:x509"}
    exchange(server, fields | kind)
    assert 1 == server.exchanges


@pytest.mark.parametrize("body", [b"", b"[]", b"grant_type=x"])
def test_only_json_objects_are_exchanged(server: OpenAIServer, body: bytes) -> None:
    """A form, a list and an empty body are refused in OAuth's words."""
    with closing(http.client.HTTPConnection("127.0.0.1", server.port)) as connection:
        connection.request("POST", "/oauth/token", body)
        response = connection.getresponse()
        error = json.loads(response.read())["error"]
    assert (400, "invalid_request") == (response.status, error)
