"""What the server sends back, before it becomes bytes on a socket."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON = b"application/json"
EVENT_STREAM = b"text/event-stream; charset=utf-8"
BINARY = b"application/octet-stream"


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole reply: either a body, or server-sent events that go out one by one."""

    status: int
    body: bytes = b""
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    events: tuple[bytes, ...] = ()


def encode(value: Mapping[str, object]) -> bytes:
    """Write compact JSON, as the real servers do."""
    return json.dumps(value, separators=(",", ":")).encode()


def ok(body: bytes) -> Answer:
    """Answer 200 with a JSON body."""
    return Answer(200, body)


def stream(events: tuple[bytes, ...]) -> Answer:
    """Answer 200 with server-sent events, each complete with its blank line."""
    return Answer(200, content_type=EVENT_STREAM, events=events)
