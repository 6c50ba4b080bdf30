"""One line of JSON there and one back, within bounds."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from tenantry.control.lines import LineError, received, sent

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 10.0  # seconds after which a test that hangs fails


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        yield here, there


def read(connection: socket.socket, limit: int = 100, seconds: float = LIMIT) -> dict[str, Any]:
    return received(connection, limit=limit, seconds=seconds)


def test_what_is_sent_is_received(ends: tuple[socket.socket, socket.socket]) -> None:
    """Line breaks and letters of all languages included."""
    sent(ends[0], {"tenant": "ä\nb"})
    assert {"tenant": "ä\nb"} == read(ends[1])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{]\n", "not a line of JSON"),
        (b"\xff\n", "not a line of JSON"),
        (b"[" * 90 + b"\n", "not a line of JSON"),
        (b"[1]\n", "not a JSON object"),
        (b"x" * 101, "longer than 100 bytes"),
        (b'{"verb":', "ended in the middle"),
        (b"", "ended in the middle"),
    ],
)
def test_what_is_no_line_is_refused(
    ends: tuple[socket.socket, socket.socket], line: bytes, reason: str
) -> None:
    """It is told why, in words that quote nothing."""
    ends[0].sendall(line)
    ends[0].shutdown(socket.SHUT_WR)
    with pytest.raises(LineError, match=reason):
        read(ends[1])


def test_nobody_is_waited_for_without_end(ends: tuple[socket.socket, socket.socket]) -> None:
    """Not even one who has begun."""
    ends[0].sendall(b"{")
    with pytest.raises(LineError, match="took too long"):
        read(ends[1], seconds=0.05)
