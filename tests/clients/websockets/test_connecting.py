"""Every `connect` of a handed-out client's resources is sealed, and otherwise the SDK's own."""

from __future__ import annotations

import inspect
import pkgutil
import subprocess
import sys
from importlib import import_module
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import openai
import pytest

from tenantry.clients.websockets.connecting import OPENING

if TYPE_CHECKING:
    from tests.clients.websockets.conftest import Keys, Line

    from tenantry.testing.certificates import CertificateAuthority

PLACES = [
    place for above, below in OPENING.items() for place in (above, *(f"{above}.{b}" for b in below))
]
OVER_HTTP = [place for place in PLACES if place not in ("beta", "beta.realtime")]


# -- every connect --------------------------------------------------------------------------------


@pytest.mark.parametrize("place", OVER_HTTP)
async def test_every_connect_sends_the_current_key(line: Line, keys: Keys, place: str) -> None:
    """Each handshake carries the key of the moment, the way that this kind of client sends keys."""
    registry = line.acme.registry(**line.said({"api_key": keys}))
    client: Any = line.acme.of(registry)
    assert line.acme.key == line.acme.credential_of(await line.shake(client, place))
    line.rotate(keys)
    registry.refresh("acme")
    request = await line.shake(client.with_options(timeout=5), place)
    assert (101, line.acme.newer_key) == (request.status, line.acme.credential_of(request))
    assert [101] == line.statuses()


async def test_events_go_both_ways(line: Line) -> None:
    """What is handed out is the SDK's own connection, and works as such."""
    async with line.open(line.client()) as connection:
        assert "session.created" == await line.hear(connection)
        await line.acme.settle(connection.response.create())
        assert "response.created" == await line.hear(connection)
        assert "response.done" == await line.hear(connection)


async def test_a_connection_is_a_context_manager(line: Line) -> None:
    """`with client.realtime.connect(...)`, as the SDK documents it, is sealed like `enter()`."""
    manager = line.client().realtime.connect(model="gpt-realtime")
    if line.is_async:
        async with manager as connection:
            assert "session.created" == await line.hear(connection)
    else:
        with manager as connection:
            assert "session.created" == await line.hear(connection)
    assert line.acme.key == line.acme.credential_of(line.server.requests[-1])


def test_connect_takes_and_returns_what_it_did(line: Line) -> None:
    """Signature and name of `connect`, and the class of what it returns, are the SDK's."""
    ours = line.client().realtime.connect
    theirs = type(line.client().realtime).connect
    made: type[Any] = type(ours(model="gpt-realtime"))
    assert inspect.signature(theirs.__get__(object())) == inspect.signature(ours)
    assert "connect" == ours.__name__
    assert [(each.__name__, each.__module__) for each in made.__bases__] == [
        (made.__name__, made.__module__)
    ]


def test_every_place_of_the_sdk_is_known(line: Line) -> None:
    """Whatever resource of the installed SDK has a `connect` is sealed where a client has it."""
    client = line.client()
    sealed = {
        type(resource)
        for place in PLACES
        if (resource := _found(client, place)) is not None and "connect" in vars(resource)
    }
    connecting = {each for each in _connecting() if line.is_async == _is_async(each)}
    assert connecting == sealed


def _is_async(resource: type[Any]) -> bool:
    return resource.__name__.startswith("Async")


def _found(client: Any, place: str) -> Any:
    try:
        return attrgetter(place)(client)
    except AttributeError:
        return None


def _connecting() -> set[type[Any]]:
    resources = import_module("openai.resources")
    modules = pkgutil.walk_packages(resources.__path__, "openai.resources.")
    members = [each for found in modules for each in vars(import_module(found.name)).values()]
    return {each for each in members if inspect.isclass(each) and hasattr(each, "connect")}


async def test_the_retired_realtime_is_sealed_too(
    line: Line, keys: Keys, authority: CertificateAuthority
) -> None:
    """`client.beta.realtime`, which speaks TLS only, is sealed, and repeated after a 401."""
    with line.over_tls(authority) as (server, said):
        client = line.acme.client(**said, api_key=keys)
        async with line.open(client, "beta.realtime"):
            assert line.acme.key == line.acme.credential_of(server.requests[-1])
        keys.secret = line.acme.newer_key
        server.revoke(line.acme.key)
        server.allow(keys.secret)
        async with line.open(client, "beta.realtime"):
            assert keys.secret == line.acme.credential_of(server.requests[-1])
        assert [101, 401, 101] == [request.status for request in server.requests]


# -- the package ----------------------------------------------------------------------------------


async def test_without_the_package_the_sdk_says_so(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where `websockets` is not installed, the error is the SDK's own."""
    for name in [*sys.modules]:
        if name.partition(".")[0] == "websockets":
            monkeypatch.setitem(sys.modules, name, None)
    for name in ("openai.lib._websocket", "openai.lib._azure_websocket"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    with pytest.raises(openai.OpenAIError, match=r"openai\[realtime\]"):
        await line.shake(line.client())


def test_the_package_is_loaded_when_it_is_used() -> None:
    """Clients are built without `websockets`: it is imported when the first WebSocket opens."""
    script = "import sys, tenantry.clients; sys.exit('websockets' in sys.modules)"
    assert 0 == subprocess.run([sys.executable, "-c", script], check=False).returncode
