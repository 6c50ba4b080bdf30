"""What passes through a control socket: one line of JSON there, and one back, both bounded."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import socket

REQUEST_LIMIT = 65_536  # bytes
ANSWER_LIMIT = 67_108_864


class LineError(Exception):
    """What came is no line of JSON with an object in it, or more than is read, or too late."""


def sent(connection: socket.socket, what: dict[str, Any]) -> None:
    """Send an object; takes at most as long as the socket's timeout says."""
    connection.sendall(json.dumps(what, ensure_ascii=False).encode() + b"\n")


def received(connection: socket.socket, *, limit: int, seconds: float) -> dict[str, Any]:
    """Read an object.

    Raises:
        LineError: none came whole, within `limit` bytes and `seconds`.
    """
    try:
        said = json.loads(_line(connection, limit, time.monotonic() + seconds))
    except (ValueError, RecursionError):
        message = "that is not a line of JSON"
        raise LineError(message) from None
    if not isinstance(said, dict):
        message = "that is not a JSON object"
        raise LineError(message)
    return said


def _line(connection: socket.socket, limit: int, deadline: float) -> bytes:
    line = bytearray()
    while not line.endswith(b"\n"):
        chunk = _chunk(connection, deadline)
        line += chunk
        if len(line) > limit:
            message = f"that is longer than {limit} bytes"
            raise LineError(message)
        if not chunk:
            message = "it ended in the middle of a line"
            raise LineError(message)
    return bytes(line)


def _chunk(connection: socket.socket, deadline: float) -> bytes:
    """Wait until the deadline, however slowly bytes trickle in."""
    connection.settimeout(max(0.001, deadline - time.monotonic()))
    try:
        return connection.recv(65_536)
    except TimeoutError:
        message = "it took too long"
        raise LineError(message) from None
