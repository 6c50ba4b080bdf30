"""A service that answers everybody the same."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import openai
import pytest
from benchmarks.loads import KEY, MESSAGES, MODEL, REQUEST
from benchmarks.server import Served, serving
from benchmarks.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 30.0  # seconds after which what does not happen fails


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving() as served:
        yield served


def test_the_sdk_takes_its_answer(served: Served) -> None:
    """The answer is a chat completion to the SDK."""
    with openai.OpenAI(api_key=KEY, base_url=served.base_url, timeout=LIMIT) as client:
        answer = client.chat.completions.create(model=MODEL, messages=MESSAGES)
    assert "Hello from a benchmark." == answer.choices[0].message.content


def test_all_keys_but_one_are_refused(served: Served) -> None:
    """Once a key is the only good one, others are answered 401."""
    served.accept_only("sk-other")
    try:
        with (
            openai.OpenAI(api_key=KEY, base_url=served.base_url, timeout=LIMIT) as client,
            pytest.raises(openai.AuthenticationError),
        ):
            client.models.list()
    finally:
        served.accept_only("")


def test_a_request_may_come_in_pieces(served: Served) -> None:
    """It is answered once it is whole, and the next one on the same connection, too."""
    with socket.create_connection(("127.0.0.1", served.port), LIMIT) as connection:
        for cut in (10, REQUEST.index(b"\r\n\r\n") + 6):
            connection.sendall(REQUEST[:cut])
            connection.sendall(REQUEST[cut:])
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_worker_asks_when_it_is_told(served: Served) -> None:
    """Each time it asks so often, and tells what it took."""
    with Worker("raw sockets", served.base_url) as worker:
        assert 20 == worker.ask(20, 4).times
        assert worker.ask(5, 1).wall > 0
