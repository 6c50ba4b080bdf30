"""What a handshake sends, what becomes of its answer, and how long a WebSocket is in flight."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import TYPE_CHECKING, Any

import openai
import pytest
from pydantic import SecretStr
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tenantry import CredentialUnavailableError, RegistryClosedError, TenantBoundaryError
from tenantry.clients.slots import API_KEY
from tenantry.events import Event, RequestReplayed
from tenantry.testing.openai import OpenAIServer

if TYPE_CHECKING:
    from tests.clients.websockets.conftest import Elsewhere, Keys, Line

    from tenantry.testing.openai import RecordedRequest

REOPENS = hasattr(openai, "ReconnectingEvent")


# -- the secret -----------------------------------------------------------------------------------


async def test_what_the_plain_sdk_sends_is_sent(line: Line) -> None:
    """Path, query and headers are those of the plain SDK; secrets stand where references stood."""
    headers, query = {"X-Gateway-Key": "of-the-gateway"}, {"signature": "of the query &"}
    ours = line.client(
        organization="org-acme",
        default_headers={name: SecretStr(value) for name, value in headers.items()},
        default_query={name: SecretStr(value) for name, value in query.items()},
    )
    theirs = plain(line, organization="org-acme", default_headers=headers, default_query=query)
    extra: dict[str, Any] = {"extra_headers": {"X-One": "1"}, "extra_query": {"two": "2"}}
    sent, expected = await line.shake(ours, **extra), await line.shake(theirs, **extra)
    assert (expected.path, expected.query) == (sent.path, sent.query)
    assert lasting_headers(expected) == lasting_headers(sent)


def plain(line: Line, **said: Any) -> Any:
    """Return a client of the SDK's own with the tenant's address and key."""
    if line.is_azure:
        said |= {"azure_endpoint": line.server.azure_endpoint, "api_version": "2024-10-21"}
    else:
        said["base_url"] = line.server.base_url
    made: Any = line.acme.kind.sdk
    return made(api_key=line.acme.key, **line.said(said))


def lasting_headers(request: RecordedRequest) -> dict[str, str]:
    """Return the headers that are alike in any two handshakes, but for the name of the class."""
    varying = ("sec-websocket-key", "user-agent")
    return {name: value for name, value in request.header.items() if name not in varying}


async def test_references_in_headers_and_query_are_stamped(line: Line) -> None:
    """Placeholders of the tenant's references become secrets, even where a caller repeats them."""
    secret = SecretStr("of the gateway &")
    client = line.client(default_headers={"X-Key": secret}, default_query={"signature": secret})
    request = await line.shake(
        client,
        extra_headers={"x-key": "tenantry:default_headers.X-Key"},
        extra_query={"signature": "tenantry:default_query.signature"},
    )
    assert "of the gateway &" == request.header["x-key"]
    assert ["of the gateway &"] == request.query["signature"]


async def test_an_azure_token_is_sent_as_such(line: Line, keys: Keys) -> None:
    """A tenant with a token sends it as a bearer token, not as a key."""
    if not line.is_azure:
        pytest.skip("OpenAI takes every credential as a bearer token")
    request = await line.shake(line.client(azure_ad_token_provider=keys))
    assert ("bearer", line.acme.key) == (request.key_kind, request.key)


async def test_no_secret_is_written_down(line: Line, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the log of `websockets`, nor the SDK's, nor the connection itself shows a secret."""
    caplog.set_level(logging.DEBUG)
    client = line.client(default_query={"signature": SecretStr("of-the-query")})
    extra = {"signature": "tenantry:default_query.signature"}
    async with line.open(client, extra_query=extra) as connection:
        inner = connection._connection
        shown = [repr(inner.request), repr(vars(inner)), repr(inner.protocol.uri), caplog.text]
    assert ["of-the-query"] == line.server.requests[-1].query["signature"]
    assert [] == [each for each in shown if line.acme.key in each or "of-the-query" in each]


async def test_a_handshake_proves_the_key(line: Line) -> None:
    """A key that a handshake was accepted with counts as accepted by the service."""
    client = line.client()
    holding = client.gate.slots.all[API_KEY].credential.keeper.holding
    assert holding.proven is None
    await line.shake(client)
    assert holding.proven is holding.held.document


async def test_an_unavailable_secret_tells_itself(line: Line) -> None:
    """Without a secret `connect` raises why, an `openai.OpenAIError`, and nothing is sent."""

    def fails() -> str:
        message = "the store is down"
        raise RuntimeError(message)

    with pytest.raises(CredentialUnavailableError, match="api_key") as caught:
        await line.shake(line.client(api_key=fails))
    assert isinstance(caught.value, openai.OpenAIError)
    assert () == line.server.requests


# -- a key that was revoked -----------------------------------------------------------------------


async def test_a_refused_handshake_is_repeated_with_the_newer_key(line: Line, keys: Keys) -> None:
    """A handshake that meets a revoked key is repeated once with the newer one, and is an event."""
    registry = line.acme.registry(**line.said({"api_key": keys}))
    events: list[Event] = []
    registry.subscribe(events.append)
    client = line.acme.of(registry)
    await line.shake(client)
    line.rotate(keys)
    assert line.acme.newer_key == line.acme.credential_of(await line.shake(client))
    assert [401, 101] == line.statuses()
    await line.until(lambda: any(isinstance(each, RequestReplayed) for each in events))


async def test_a_refusal_is_handed_on_where_there_is_no_better_key(line: Line, keys: Keys) -> None:
    """With nothing better to send, the SDK's own error tells of the 401, after one try."""
    client = line.client(api_key=keys)
    line.server.revoke(line.acme.key)
    with pytest.raises(InvalidStatus) as caught:
        await line.shake(client)
    assert 401 == caught.value.response.status_code
    assert [401] == line.statuses()


async def test_a_second_refusal_is_handed_on(line: Line, keys: Keys) -> None:
    """A newer key that is refused as well is not followed by a third try."""
    client = line.client(api_key=keys)
    await line.shake(client)
    line.rotate(keys)
    line.server.revoke(line.acme.newer_key)
    with pytest.raises(InvalidStatus):
        await line.shake(client)
    assert [401, 401] == line.statuses()
    await line.until(lambda: 0 == line.in_flight(client))


class KeysOfAStoppingServer:
    """A source that has a newer key the second time, when the service is gone."""

    def __init__(self, keys: list[str], server: OpenAIServer) -> None:
        self._keys = keys
        self._server = server

    def __call__(self) -> str:
        if len(self._keys) == 2:
            self._server.stop()
        return self._keys.pop(0)


async def test_a_repetition_that_fails_leaves_nothing_behind(line: Line) -> None:
    """A second try that does not reach the service is forgotten: the next `connect` begins anew."""
    with OpenAIServer() as server:
        said: dict[str, Any] = {
            "websocket_base_url": line.address.replace(str(line.server.port), str(server.port))
        }
        keys = [line.acme.key, line.acme.newer_key, "sk-acme-newest-0123456789"]
        source = KeysOfAStoppingServer(keys, server)
        registry = line.acme.registry(**said, api_key=source)
        client: Any = line.acme.of(registry)
        manager = client.realtime.connect(model="gpt-realtime")
        with pytest.raises(OSError, match=r"[Cc]onnect"):
            await line.acme.settle(manager.enter())
        assert ([401], []) == ([each.status for each in server.requests], keys[1:])
        await line.until(lambda: 0 == line.in_flight(client))
        server.start()
        server.allow(keys[0])
        registry.refresh("acme")
        connection = await line.acme.settle(manager.enter())
        assert [401, 101] == [each.status for each in server.requests]
        await line.acme.settle(connection.close())


@pytest.mark.skipif(not REOPENS, reason="this SDK opens no connection again")
async def test_a_connection_is_opened_again_with_the_current_key(line: Line, keys: Keys) -> None:
    """What the SDK opens again carries the key of then, and a 401 takes none of its attempts."""
    attempts: list[int] = []

    def note(event: Any) -> None:
        attempts.append(event.attempt)

    said: dict[str, Any] = {"on_reconnecting": note, "initial_delay": 0.001}
    async with line.open(line.client(api_key=keys), **said) as connection:
        await line.hear(connection)
        line.rotate(keys)
        line.server.drop_websockets()
        event = await anext(connection.__aiter__()) if line.is_async else next(iter(connection))
        assert ("session.created", [1]) == (event.type, attempts)
        assert [401, 101] == line.statuses()
        assert line.acme.newer_key == line.acme.credential_of(line.server.requests[-1])


@pytest.mark.skipif(not REOPENS, reason="this SDK opens no connection again")
async def test_a_shut_gate_opens_no_connection_again(line: Line) -> None:
    """Once the gate is shut, what was open ends as if the SDK had failed to open it again."""
    registry = line.acme.registry(**line.said({}))
    said: dict[str, Any] = {
        "on_reconnecting": lambda _: None,
        "initial_delay": 0.001,
        "max_retries": 2,
    }
    async with line.open(line.acme.of(registry), **said) as connection:
        await line.hear(connection)
        registry.close()
        line.server.drop_websockets()
        with pytest.raises(ConnectionClosed):
            _ = await anext(connection.__aiter__()) if line.is_async else next(iter(connection))
    assert [101] == line.statuses()


# -- an answer that leads elsewhere ---------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["ws", "wss", "http", "https"])
async def test_a_redirect_does_not_lead_out(line: Line, nowhere: Elsewhere, scheme: str) -> None:
    """A handshake that is answered with another address ends there: nobody is connected to."""
    line.server.redirect_next(f"{scheme}://{nowhere.address}/v1/realtime")
    with pytest.raises(TenantBoundaryError, match="another address"):
        await line.shake(line.client())
    assert ([307], False) == (line.statuses(), nowhere.reached)


async def test_a_redirect_does_not_lead_to_another_tenant(line: Line) -> None:
    """Where a path is the boundary, a redirect to another one of the same host is refused."""
    client = line.client(websocket_base_url=f"ws://127.0.0.1:{line.server.port}/t-acme/v1")
    line.server.redirect_next("/t-globex/v1/realtime")
    with pytest.raises(TenantBoundaryError, match="leads out"):
        await line.shake(client)
    assert [307] == line.statuses()


async def test_a_redirect_within_carries_the_key(line: Line) -> None:
    """Where `websockets` follows a redirect below the tenant's own address, the key goes along."""
    path = "/openai/v1/realtime" if line.is_azure else "/v1/below/v1/realtime"
    line.server.redirect_next(path)
    if not line.is_async:
        with pytest.raises(InvalidStatus):  # in threads it follows none
            await line.shake(line.client())
        return
    request = await line.shake(line.client())
    assert (path, line.acme.key) == (request.path, line.acme.credential_of(request))


# -- in flight ------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["realtime", "responses"])
async def test_a_shut_gate_lets_nothing_through(
    line: Line, keys: Keys, nowhere: Elsewhere, place: str
) -> None:
    """After the registry closed `connect` raises that, before a secret is read or a byte sent."""
    said = line.said({"api_key": keys, "websocket_base_url": f"ws://{nowhere.address}/v1"})
    registry = line.acme.registry(**said)
    client = line.acme.of(registry)
    registry.close()
    with pytest.raises(RegistryClosedError) as caught:
        await line.shake(client, place)
    assert isinstance(caught.value, openai.OpenAIError)
    assert (0, False) == (keys.asked, nowhere.reached)


async def test_an_open_socket_is_in_flight(line: Line) -> None:
    """A WebSocket counts from its handshake until it is closed, each by itself."""
    client = line.client()
    async with line.open(client):
        async with line.open(client.with_options(timeout=5)):
            assert 2 == line.in_flight(client)
        await line.until(lambda: 1 == line.in_flight(client))
    await line.until(lambda: 0 == line.in_flight(client))


async def test_a_dropped_socket_is_not_in_flight(line: Line) -> None:
    """A connection that the service ends counts no longer, whether or not anybody reads it."""
    client = line.client()
    async with line.open(client):
        await line.until(lambda: 1 == line.server.websockets)
        line.server.drop_websockets()
        await line.until(lambda: 0 == line.in_flight(client))


async def test_a_refused_handshake_is_not_in_flight(line: Line) -> None:
    """What never opened does not count, whatever kept it from opening."""
    client = line.client()
    line.server.fail_next(503)
    with pytest.raises(InvalidStatus):
        await line.shake(client)
    with pytest.raises(TenantBoundaryError):
        await line.shake(client, extra_headers={"api-key": line.acme.foreign_key})
    await line.until(lambda: 0 == line.in_flight(client))


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_forgotten_socket_is_not_in_flight(line: Line) -> None:
    """A connection whose event loop ended without closing it stops counting once collected."""
    if not line.is_async:
        pytest.skip("a thread reads it, and holds it, until it is closed")
    client = line.client()

    async def forget() -> None:
        await client.realtime.connect(model="gpt-realtime").enter()
        assert 1 == line.in_flight(client)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(forget())
    loop.close()
    gc.collect()
    assert 0 == line.in_flight(client)
