from __future__ import annotations

import http.client
import json
import socket
from contextlib import closing
from typing import TYPE_CHECKING, Any

import openai
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from openai.types.chat import ChatCompletionMessageParam

    from tenantry.testing.openai import OpenAIServer

KEY = "sk-acme-0123456789"
API_VERSION = "2024-10-21"
MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hi"}]
REPLY = "Hello from tenantry."


@pytest.fixture
def wire(server: OpenAIServer) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port)) as connection:
        yield connection


def get(wire: http.client.HTTPConnection, path: str, headers: Mapping[str, str]) -> tuple[int, Any]:
    wire.request("GET", path, headers=dict(headers))
    response = wire.getresponse()
    return response.status, json.loads(response.read())


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


# -- credentials ------------------------------------------------------------------------------


def test_a_revoked_key_is_refused_at_once(server: OpenAIServer, client: openai.OpenAI) -> None:
    """The first request after the revocation gets OpenAI's 401, which does not hold the key."""
    client.models.list()
    server.revoke(KEY)
    with pytest.raises(openai.AuthenticationError) as caught:
        client.models.list()
    assert "invalid_api_key" == caught.value.code
    assert KEY not in str(caught.value)
    assert [(200, "acme", "1"), (401, "acme", "1")] == [
        (request.status, request.tenant, request.version) for request in server.requests
    ]


def test_no_credential_is_refused(server: OpenAIServer, wire: http.client.HTTPConnection) -> None:
    """A request without a key is a 401 and recorded without one."""
    status, body = get(wire, "/v1/models", {})
    (request,) = server.requests
    assert (401, "invalid_request_error") == (status, body["error"]["type"])
    assert (None, None, False) == (request.key, request.key_kind, request.conflicting)


def test_two_credentials_are_refused(
    server: OpenAIServer, wire: http.client.HTTPConnection
) -> None:
    """Two different keys in one request are a 401 although both are valid."""
    server.allow("k2")
    status, _ = get(wire, "/v1/models", bearer(KEY) | {"api-key": "k2"})
    (request,) = server.requests
    assert (401, None, None, True) == (status, request.key, request.key_kind, request.conflicting)


def test_both_headers_share_the_keys(
    server: OpenAIServer, wire: http.client.HTTPConnection
) -> None:
    """A key is valid as a bearer token and as an api-key, and the record tells which."""
    answers = [get(wire, "/v1/models", headers)[0] for headers in (bearer(KEY), {"api-key": KEY})]
    assert [200, 200] == answers
    assert [("bearer", KEY), ("api-key", KEY)] == [
        (request.key_kind, request.key) for request in server.requests
    ]


def test_an_unknown_path_is_not_found(wire: http.client.HTTPConnection) -> None:
    """An unknown path is a 404 for those who have a key, and a 401 for others."""
    assert [404, 401] == [get(wire, "/v1/nothing", head)[0] for head in (bearer(KEY), {})]


# -- Azure ------------------------------------------------------------------------------------


def test_azure_serves_deployments(server: OpenAIServer, azure: openai.AzureOpenAI) -> None:
    """The Azure client's chat goes to a deployment's path, with its api-key and api-version."""
    completion = azure.chat.completions.create(model="gpt-4o", messages=MESSAGES)
    (request,) = server.requests
    assert (REPLY, "gpt-4o") == (completion.choices[0].message.content, completion.model)
    assert "/openai/deployments/gpt-4o/chat/completions" == request.path
    assert ("api-key", [API_VERSION]) == (request.key_kind, request.query["api-version"])


def test_azure_serves_the_rest(server: OpenAIServer, azure: openai.AzureOpenAI) -> None:
    """Embeddings, responses, models and files answer on Azure's paths."""
    azure.embeddings.create(model="e", input="a")
    azure.responses.create(model="m", input="Hi")
    azure.models.list()
    azure.files.create(file=("a", b"1"), purpose="batch")
    assert [
        "/openai/deployments/e/embeddings",
        "/openai/responses",
        "/openai/models",
        "/openai/files",
    ] == [request.path for request in server.requests]


def test_azure_takes_a_bearer_token(server: OpenAIServer) -> None:
    """An Entra token is a key like any other, in its own header."""
    with openai.AzureOpenAI(
        azure_endpoint=server.azure_endpoint, azure_ad_token=KEY, api_version=API_VERSION
    ) as azure:
        azure.chat.completions.create(model="m", messages=MESSAGES)
    assert ("bearer", "acme") == (server.requests[0].key_kind, server.requests[0].tenant)


async def test_a_bound_deployment_serves_chats(server: OpenAIServer) -> None:
    """An async client bound to a deployment uses it for chats, and for nothing else."""
    async with openai.AsyncAzureOpenAI(
        azure_endpoint=server.azure_endpoint,
        azure_deployment="d1",
        api_key=KEY,
        api_version=API_VERSION,
    ) as azure:
        await azure.chat.completions.create(model="m", messages=MESSAGES)
        await azure.models.list()
    assert ["/openai/deployments/d1/chat/completions", "/openai/models"] == [
        request.path for request in server.requests
    ]


def test_a_deployment_names_the_model(server: OpenAIServer, azure: openai.AzureOpenAI) -> None:
    """A body without a model is answered in the deployment's name."""
    completion: Any = azure.post(
        "/deployments/gpt-4o/chat/completions", body={"messages": []}, cast_to=object
    )
    assert "gpt-4o" == completion["model"]


def test_azure_streams(azure: openai.AzureOpenAI) -> None:
    """A deployment streams, too."""
    chunks = azure.chat.completions.create(model="m", messages=MESSAGES, stream=True)
    assert REPLY == "".join(chunk.choices[0].delta.content or "" for chunk in chunks)


@pytest.mark.parametrize("query", ["", "?api-version=", "?other=1"])
@pytest.mark.parametrize("path", ["/openai/models", "/tenants/acme/openai/models"])
def test_azure_needs_an_api_version(
    wire: http.client.HTTPConnection, path: str, query: str
) -> None:
    """Without an api-version Azure finds nothing."""
    expected = {"error": {"code": "404", "message": "Resource not found"}}
    assert (404, expected) == get(wire, path + query, {"api-key": KEY})


def test_azure_v1_needs_no_api_version(server: OpenAIServer) -> None:
    """The v1 surface of Azure is used with the plain client."""
    url = f"{server.azure_endpoint}/openai/v1"
    with openai.OpenAI(base_url=url, api_key=KEY) as client:
        client.responses.create(model="m", input="Hi")
    assert "/openai/v1/responses" == server.requests[0].path


def test_azure_words_a_wrong_key(server: OpenAIServer, azure: openai.AzureOpenAI) -> None:
    """A revoked key gets Azure's 401."""
    server.revoke(KEY)
    with pytest.raises(openai.AuthenticationError, match="invalid subscription key"):
        azure.models.list()


# -- gateways ---------------------------------------------------------------------------------


def test_a_gateway_path_is_recorded_whole(server: OpenAIServer) -> None:
    """A base URL below a gateway works, and its prefix is in the record."""
    with openai.OpenAI(base_url=f"{server.url}/tenants/acme/v1", api_key=KEY) as client:
        client.chat.completions.create(model="m", messages=MESSAGES)
    assert "/tenants/acme/v1/chat/completions" == server.requests[0].path


def test_azure_answers_behind_a_gateway(server: OpenAIServer) -> None:
    """An Azure endpoint with a path works as well."""
    with openai.AzureOpenAI(
        azure_endpoint=f"{server.url}/tenants/acme", api_key=KEY, api_version=API_VERSION
    ) as azure:
        azure.chat.completions.create(model="m", messages=MESSAGES)
    expected = "/tenants/acme/openai/deployments/m/chat/completions"
    assert expected == server.requests[0].path


# -- records ----------------------------------------------------------------------------------


def test_a_record_has_what_was_sent(server: OpenAIServer, client: openai.OpenAI) -> None:
    """Method, body, headers in wire order and query of a request are kept."""
    client.chat.completions.create(
        model="m", messages=MESSAGES, extra_headers={"X-Trace": "t1"}, extra_query={"a": ["1"]}
    )
    (request,) = server.requests
    assert ("POST", "m", "t1") == (
        request.method,
        request.json()["model"],
        request.header["x-trace"],
    )
    assert ("host", f"127.0.0.1:{server.port}") in request.headers
    assert ["1"] in request.query.values()


def test_records_show_no_secret(server: OpenAIServer, client: openai.OpenAI) -> None:
    """The repr of a real request's record does not hold the key."""
    client.models.list()
    assert KEY not in repr(server.requests) + repr(server.requests[0].header) + repr(server)


def test_one_pool_is_one_connection(server: OpenAIServer, client: openai.OpenAI) -> None:
    """Requests one after the other share a connection, which the client's port shows."""
    for _ in range(3):
        client.models.list()
    assert (1, 1) == (server.connections, len({request.client_port for request in server.requests}))


def test_a_client_that_goes_away_is_not_recorded(
    server: OpenAIServer, client: openai.OpenAI
) -> None:
    """A request whose body never ends is no request, and not in flight once it is over."""
    with socket.create_connection(("127.0.0.1", server.port)) as half:
        half.sendall(b"POST /v1/responses HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{")
        half.shutdown(socket.SHUT_WR)
        while half.recv(4096):
            pass
    client.models.list()
    assert ["/v1/models"] == [request.path for request in server.requests]
    assert 0 == server.in_flight


# -- misbehaviour -----------------------------------------------------------------------------


def test_a_rate_limit_is_retried(server: OpenAIServer, client: openai.OpenAI) -> None:
    """The SDK sees 429 with its Retry-After, tries again and succeeds."""
    server.fail_next(429, retry_after=0.01)
    client.with_options(max_retries=1).models.list()
    assert [429, 200] == [request.status for request in server.requests]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_a_failure_is_one_of_the_sdks_errors(
    server: OpenAIServer, client: openai.OpenAI, status: int, error: type[openai.APIStatusError]
) -> None:
    """Every failure arrives as the error that the SDK has for it, once."""
    server.fail_next(status, retry_after=7)
    with pytest.raises(error) as caught:
        client.models.list()
    assert (status, "7") == (caught.value.status_code, caught.value.response.headers["retry-after"])
    client.models.list()


def test_a_failure_of_one_key_spares_the_others(
    server: OpenAIServer, client: openai.OpenAI
) -> None:
    """A failure ordered for a key waits for that key."""
    server.allow("k2")
    server.fail_next(500, key="k2")
    client.models.list()
    with pytest.raises(openai.InternalServerError):
        client.with_options(api_key="k2").models.list()


def test_azure_words_its_failures(server: OpenAIServer, azure: openai.AzureOpenAI) -> None:
    """A failure on an Azure path is worded by Azure."""
    server.fail_next(429, path="/openai/models")
    with pytest.raises(openai.RateLimitError, match="call rate limit"):
        azure.models.list()


def test_a_redirect_is_followed(server: OpenAIServer, client: openai.OpenAI) -> None:
    """The SDK follows a 307 with method and body."""
    server.redirect_next("/tenants/acme/v1/chat/completions")
    client.chat.completions.create(model="m", messages=MESSAGES)
    assert [
        ("POST", "/v1/chat/completions", 307),
        ("POST", "/tenants/acme/v1/chat/completions", 200),
    ] == [(request.method, request.path, request.status) for request in server.requests]


def test_a_slow_answer_times_out(server: OpenAIServer, client: openai.OpenAI) -> None:
    """A client with less patience than the server's delay gives up; reset ends the delay."""
    server.slow(60)
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.05).models.list()
    server.reset()
    assert client.models.list().data


def test_a_held_request_is_answered(server: OpenAIServer, client: openai.OpenAI) -> None:
    """A client that waits long enough gets its answer."""
    server.slow(0.01)
    client.models.list()
    assert 1 == server.count(status=200)


def test_a_cut_stream_breaks_the_read(server: OpenAIServer, client: openai.OpenAI) -> None:
    """The client reads the events before the cut, then an error; the next stream is whole."""
    server.cut_stream(after_events=2)
    chunks = []
    with pytest.raises(Exception, match=r"(?i)connection"):  # noqa: PT012 (the second read breaks)
        for chunk in client.chat.completions.create(model="m", messages=MESSAGES, stream=True):
            chunks.append(chunk)  # noqa: PERF402 (what came before the error is the point)
    whole = list(client.chat.completions.create(model="m", messages=MESSAGES, stream=True))
    assert (2, 5) == (len(chunks), len(whole))


@pytest.mark.parametrize(("after", "ends"), [(0, False), (1, False), (6, True), (99, True)])
def test_a_cut_stream_has_no_end(
    server: OpenAIServer, wire: http.client.HTTPConnection, after: int, *, ends: bool
) -> None:
    """On the wire a cut stream lacks its last chunk, and one without more events is whole."""
    server.cut_stream(after_events=after)
    body = json.dumps({"model": "m", "messages": [], "stream": True})
    with socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall(
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
            f"authorization: Bearer {KEY}\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
        )
        received = b"".join(iter(lambda: raw.recv(65536), b""))
    assert (min(after, 6), ends) == (received.count(b"data: "), received.endswith(b"0\r\n\r\n"))


def test_a_paced_stream_is_complete(server: OpenAIServer, client: openai.OpenAI) -> None:
    """A stream with pauses has all its events."""
    server.stream_pace(0.001)
    events = list(client.responses.create(model="m", input="Hi", stream=True))
    assert "response.completed" == events[-1].type
