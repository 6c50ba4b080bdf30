"""What came in: every request as a frozen record, the connections, and who is being served."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

if TYPE_CHECKING:
    import threading

    from tenantry.testing.openai.keys import KeyKind


class Headers(Mapping[str, str]):
    """Headers by name in any case; a repeated name gives its values joined by a comma.

    The repr shows names only.
    """

    def __init__(self, pairs: tuple[tuple[str, str], ...]) -> None:
        self._values: dict[str, str] = {}
        for name, value in pairs:
            known = self._values.get(name)
            self._values[name] = value if known is None else f"{known}, {value}"

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Headers({', '.join(self._values)})"


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One request as it was received, and the status that it was answered with.

    Attributes:
        sequence: Arrival number, from 1; the answer's `x-request-id` is `req_<sequence>`.
        method: In capitals.
        path: The whole path as sent, prefix included, percent-encoded, without the query.
        status: What the server answered; 200 for a stream that was cut later.
        key_kind: How the credential came, `api-key` when the same one came both ways; None when
            there was none, or two different ones.
        conflicting: Whether two different credentials were presented.
        tenant: Label of the key, known or formerly known.
        version: Label of the key, likewise.
        client_port: The client's port: one per connection.
        received_at: `time.monotonic()` at arrival.
        query: All values by name.
        headers: `(lower-case name, value)` in wire order.
        body: The whole body.
        key: The credential presented, None when there was none or two different ones.
    """

    sequence: int
    method: str
    path: str
    status: int
    key_kind: KeyKind | None
    conflicting: bool
    tenant: str | None
    version: str | None
    client_port: int
    received_at: float
    query: dict[str, list[str]] = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    key: str | None = field(repr=False)

    @property
    def header(self) -> Headers:
        """The headers by name: `request.header["Content-Type"]`."""
        return Headers(self.headers)

    def json(self) -> Any:
        """Parse the body; `ValueError` when it is not JSON."""
        return json.loads(self.body)


def read_headers(raw: list[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """Decode headers as ASGI gives them: lower-case names, wire order."""
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in raw)


def read_query(raw: bytes) -> dict[str, list[str]]:
    """Decode a query string: all values by name, blank ones too."""
    return parse_qs(raw.decode("latin-1"), keep_blank_values=True)


@dataclass(slots=True)
class Visit:
    """One request while it is served."""

    sequence: int
    client_port: int
    received_at: float
    over: bool = False


class Recorder:
    """The memory of one server: bounded, oldest dropped first."""

    def __init__(self, lock: threading.RLock, *, enabled: bool, max_recorded: int) -> None:
        self._lock = lock
        self.enabled = enabled
        self._requests: deque[RecordedRequest] = deque(maxlen=max_recorded)
        self._ports: set[int] = set()
        self._sequence = 0
        self._in_flight = 0
        self._dropped = 0

    def enter(self, client_port: int) -> Visit:
        with self._lock:
            self._sequence += 1
            self._in_flight += 1
            self._ports.add(client_port)
            return Visit(self._sequence, client_port, time.monotonic())

    def leave(self, visit: Visit) -> None:
        """Count a request as answered; only the first call counts."""
        with self._lock:
            if not visit.over:
                visit.over = True
                self._in_flight -= 1

    def record(self, request: RecordedRequest) -> None:
        with self._lock:
            if len(self._requests) == self._requests.maxlen:
                self._dropped += 1
            self._requests.append(request)

    def clear(self) -> None:
        with self._lock:
            self._requests.clear()
            self._ports.clear()
            self._dropped = 0

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        with self._lock:
            return tuple(sorted(self._requests, key=lambda request: request.sequence))

    @property
    def connections(self) -> int:
        with self._lock:
            return len(self._ports)

    @property
    def in_flight(self) -> int:
        with self._lock:
            return self._in_flight

    @property
    def dropped(self) -> int:
        with self._lock:
            return self._dropped
