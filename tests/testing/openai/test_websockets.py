from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import openai
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tenantry.testing.openai import OpenAIServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from websockets.sync.connection import Connection

KEY = "sk-acme-0123456789"
API_VERSION = "2024-10-21"
REPLY = "Hello from tenantry."


def opened(
    server: OpenAIServer, path: str = "/v1/realtime?model=gpt", key: str | None = KEY
) -> Connection:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    url = f"ws://127.0.0.1:{server.port}{path}"
    return connect(url, additional_headers=headers, proxy=None)


def heard(connection: Connection) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(connection.recv(timeout=10))
    return event


def until(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.005)


# -- handshakes -----------------------------------------------------------------------------------


def test_a_handshake_is_recorded_like_a_request(server: OpenAIServer) -> None:
    """Path, query, headers and credential of a handshake are kept, with status 101."""
    with opened(server, "/tenants/acme/v1/realtime?model=gpt&x=1"):
        (request,) = server.requests
    assert ("GET", "/tenants/acme/v1/realtime", 101) == (
        request.method,
        request.path,
        request.status,
    )
    assert ("acme", "1", "bearer") == (request.tenant, request.version, request.key_kind)
    assert {"model": ["gpt"], "x": ["1"]} == request.query
    assert "websocket" == request.header["Upgrade"]


@pytest.mark.parametrize("key", [None, "sk-wrong"])
def test_a_handshake_needs_a_valid_key(server: OpenAIServer, key: str | None) -> None:
    """Without a valid key a handshake is answered 401 in OpenAI's words, and recorded."""
    with pytest.raises(InvalidStatus) as caught:
        opened(server, key=key)
    response = caught.value.response
    assert (401, "invalid_request_error") == (
        response.status_code,
        json.loads(response.body or b"")["error"]["type"],
    )
    assert [401] == [request.status for request in server.requests]


@pytest.mark.parametrize("name", ["Authorization", "api-key"])
def test_azure_takes_keys_both_ways(server: OpenAIServer, name: str) -> None:
    """On Azure's path a key is valid as a bearer token and as an api-key."""
    value = KEY if name == "api-key" else f"Bearer {KEY}"
    path = f"/openai/realtime?deployment=gpt&api-version={API_VERSION}"
    url = f"ws://127.0.0.1:{server.port}{path}"
    with connect(url, additional_headers={name: value}, proxy=None) as connection:
        assert "gpt" == heard(connection)["session"]["model"]


@pytest.mark.parametrize("path", ["/openai/realtime?deployment=gpt", "/v1/models", "/v2/realtime"])
def test_an_unknown_path_is_not_found(server: OpenAIServer, path: str) -> None:
    """What opens no WebSocket is a 404: Azure without a version, and what is for requests only."""
    with pytest.raises(InvalidStatus) as caught:
        opened(server, path)
    assert 404 == caught.value.response.status_code


@pytest.mark.parametrize(
    "path",
    [
        "/openai/v1/realtime",
        "/v1/realtime/translations",
        "/v1/live/sessions",
        "/v1/live/sessions/s%201/attach",
        "/v1/live/sessions/s1/fork",
    ],
)
def test_every_place_of_the_api_greets(server: OpenAIServer, path: str) -> None:
    """Each path at which the SDK opens a session says that there is one."""
    with opened(server, path) as connection:
        assert "session.created" == heard(connection)["type"]


def test_a_request_is_no_handshake(server: OpenAIServer, client: openai.OpenAI) -> None:
    """A plain request to a path that is for WebSockets alone is a 404."""
    with pytest.raises(openai.NotFoundError):
        client.get("/realtime", cast_to=object)


def test_the_sdk_converses(server: OpenAIServer, client: openai.OpenAI) -> None:
    """The SDK's own client opens a session, and gets the reply of the server."""
    with client.realtime.connect(model="gpt-realtime") as connection:
        connection.recv()
        connection.response.create()
        connection.recv()
        done: Any = connection.recv()
    assert REPLY == done.response.output[0].content[0].text


# -- events ---------------------------------------------------------------------------------------


def test_a_session_can_be_changed(server: OpenAIServer) -> None:
    """`session.update` is answered with the session as it then is, each event with its own id."""
    with opened(server) as connection:
        created = heard(connection)
        connection.send(json.dumps({"type": "session.update", "session": {"voice": "ash"}}))
        updated = heard(connection)
    assert ("session.updated", "ash") == (updated["type"], updated["session"]["voice"])
    assert created["session"]["id"] == updated["session"]["id"]
    assert ("event_1", "event_2") == (created["event_id"], updated["event_id"])


@pytest.mark.parametrize("said", ["not JSON", "[]", '{"type": "of.no.kind"}', b"\xff"])
def test_what_is_not_understood_is_an_error_event(server: OpenAIServer, said: str | bytes) -> None:
    """An event that makes no sense is answered with an error, and the conversation goes on."""
    with opened(server) as connection:
        heard(connection)
        connection.send(said)
        assert "error" == heard(connection)["type"]
        connection.send('{"type": "response.create"}')
        assert "response.created" == heard(connection)["type"]


def test_responses_come_without_a_session(server: OpenAIServer) -> None:
    """At `/responses` nothing is said first, and a response comes as the events of a stream."""
    with opened(server, "/v1/responses") as connection:
        connection.send('{"type": "response.create", "model": "gpt"}')
        events = [heard(connection)]
        while "response.completed" != events[-1]["type"]:
            events.append(heard(connection))
    assert "response.created" == events[0]["type"]
    assert list(range(len(events))) == [event["sequence_number"] for event in events]
    assert "gpt" == events[-1]["response"]["model"]


# -- misbehaviour ---------------------------------------------------------------------------------


def test_a_handshake_can_be_redirected(server: OpenAIServer) -> None:
    """`redirect_next` answers a handshake as well."""
    server.redirect_next("ws://127.0.0.1:9/v1/realtime")
    with pytest.raises(InvalidStatus) as caught:
        opened(server)
    response = caught.value.response
    assert (307, "ws://127.0.0.1:9/v1/realtime") == (
        response.status_code,
        response.headers["location"],
    )


def test_a_handshake_can_fail(server: OpenAIServer) -> None:
    """`fail_next` answers a handshake as well, once."""
    server.fail_next(503, retry_after=3)
    with pytest.raises(InvalidStatus) as caught:
        opened(server)
    assert "3" == caught.value.response.headers["retry-after"]
    opened(server).close()


def test_a_conversation_can_be_cut(server: OpenAIServer) -> None:
    """`cut_stream` drops a WebSocket after so many events, without a close frame."""
    server.cut_stream(after_events=1)
    with opened(server) as connection:
        heard(connection)
        connection.send('{"type": "response.create"}')
        with pytest.raises(ConnectionClosed) as caught:
            connection.recv(timeout=10)
    assert caught.value.rcvd is None


@pytest.mark.parametrize("code", [None, 1012])
def test_all_conversations_can_be_dropped(server: OpenAIServer, code: int | None) -> None:
    """`drop_websockets` ends what is open, with a close frame of that code or without one."""
    with opened(server) as one, opened(server) as other:
        for connection in (one, other):
            heard(connection)
        assert 2 == server.websockets
        server.drop_websockets(code)
        for connection in (one, other):
            with pytest.raises(ConnectionClosed) as caught:
                connection.recv(timeout=10)
            assert code == (caught.value.rcvd and caught.value.rcvd.code)
    until(lambda: 0 == server.websockets)
    server.drop_websockets()


def test_open_websockets_are_counted(server: OpenAIServer) -> None:
    """A WebSocket counts until either side has closed it; it is no request in flight."""
    with opened(server) as connection:
        heard(connection)
        assert (1, 0) == (server.websockets, server.in_flight)
    until(lambda: 0 == server.websockets)


def test_a_stopped_server_ends_conversations() -> None:
    """Stopping the server does not wait for who is connected."""
    with OpenAIServer(keys=[KEY]) as server:
        connection = opened(server)
        heard(connection)
    with pytest.raises(ConnectionClosed):
        connection.recv(timeout=10)


def test_the_address_is_what_clients_take(server: OpenAIServer) -> None:
    """`websocket_base_url` is the SDK's parameter of that name."""
    with openai.OpenAI(
        api_key=KEY, base_url="http://127.0.0.1:9", websocket_base_url=server.websocket_base_url
    ) as client:
        client.realtime.connect(model="gpt").enter().close()
    assert [101] == [request.status for request in server.requests]
