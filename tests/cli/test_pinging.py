"""What comes back of a request, in words."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest

from tenantry.cli.fresh import Fresh, fresh
from tenantry.cli.pinging import Door, Pong, doors, ping
from tenantry.cli.terminal import Terminal
from tenantry.errors import TenantDisabledError

if TYPE_CHECKING:
    from tenantry.testing import OpenAIServer

ENDED = "http://127.0.0.1:{port}/v1"


def reading(base_url: str, **others: object) -> Fresh:
    """Read one tenant at an address."""
    said = {"base_url": base_url, "api_key": {"literal": "sk-made-up"}, **others}
    return fresh(Terminal(), {"tenants": {"acme": said, "hooli": {**said, "enabled": False}}})


def asked(read: Fresh, timeout: float = 30.0) -> list[Pong]:
    with read:
        wanted = doors(read, [])
        asking = ping(
            read.registry(), wanted, concurrency=2, timeout=timeout, answered=lambda: None
        )
        return asyncio.run(asking)


@pytest.fixture
def nobody() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return ENDED.format(port=server.getsockname()[1])


def test_doors() -> None:
    """Everybody who is enabled has a door at each address; who is named has to be."""
    with reading("http://127.0.0.1:1/v1", endpoints={"eu": {}, "us": {"enabled": False}}) as read:
        assert [Door("acme", "", "openai"), Door("acme", "eu", "openai")] == doors(read, [])
        assert ["acme", "acme eu"] == [door.name for door in doors(read, ["acme"])]
        with pytest.raises(TenantDisabledError):
            doors(read, ["hooli"])


def test_models_are_counted(openai_server: OpenAIServer) -> None:
    """Where the key is good there are models."""
    openai_server.allow("sk-made-up", tenant="acme")
    [pong] = asked(reading(openai_server.base_url))

    assert ("", "") == (pong.fault, pong.detail)
    assert pong.models


def test_a_status_is_told_with_what_to_do(openai_server: OpenAIServer) -> None:
    """An error of the service is its status; its text, which may repeat a key, is not shown."""
    [pong] = asked(reading(openai_server.base_url))
    assert "HTTP 401" == pong.fault
    assert "rotate it" in pong.detail
    assert "made-up" not in pong.detail


def test_nobody_answers(nobody: str) -> None:
    """A connection that is refused is told as such, at once: there are no retries."""
    [pong] = asked(reading(nobody))

    assert "no connection" == pong.fault
    assert "doctor" in pong.detail


def test_nothing_comes_back() -> None:
    """Who answers nothing has so many seconds."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        [pong] = asked(reading(ENDED.format(port=server.getsockname()[1])), timeout=0.2)

    assert ("no answer", "nothing came in 0.2 s: try a longer --timeout") == (
        pong.fault,
        pong.detail,
    )


def test_what_stays_within() -> None:
    """A tenant that cannot be built a client says why, and stops nobody else."""
    said = {"base_url": "http://127.0.0.1:1/v1", "api_key": {"file": "/no/such/key"}}
    [pong] = asked(fresh(Terminal(), {"tenants": {"acme": said}}))

    assert "no credential" == pong.fault
    assert "/no/such/key" in pong.detail
