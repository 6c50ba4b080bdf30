from __future__ import annotations

import dataclasses
import threading

import pytest

from tenantry.testing.openai.recording import (
    Headers,
    RecordedRequest,
    Recorder,
    read_headers,
    read_query,
)

SECRET = "sk-never-shown"


def request(sequence: int) -> RecordedRequest:
    return RecordedRequest(
        sequence=sequence,
        method="POST",
        path="/v1/chat/completions",
        status=200,
        key_kind="bearer",
        conflicting=False,
        tenant="acme",
        version="1",
        client_port=50000,
        received_at=1.0,
        query={"token": [SECRET]},
        headers=(("authorization", f"Bearer {SECRET}"),),
        body=f'{{"secret": "{SECRET}"}}'.encode(),
        key=SECRET,
    )


def recorder(max_recorded: int = 10) -> Recorder:
    return Recorder(threading.RLock(), enabled=True, max_recorded=max_recorded)


def test_a_record_shows_no_secret() -> None:
    """The repr of a record tells who and what, but no header, query, body or key."""
    shown = repr(request(7))
    assert ("sequence=7" in shown, "tenant='acme'" in shown, SECRET in shown) == (True, True, False)


def test_a_record_cannot_be_changed() -> None:
    """A record is frozen."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        request(1).status = 500  # type: ignore[misc]  # the very mistake that must fail


def test_the_body_is_read_as_json() -> None:
    """json() parses the body."""
    assert {"secret": SECRET} == request(1).json()


def test_headers_are_found_in_any_case() -> None:
    """The mapping of headers ignores case."""
    assert f"Bearer {SECRET}" == request(1).header["Authorization"]


def test_repeated_headers_are_joined() -> None:
    """A header that came twice gives both values, in wire order."""
    headers = Headers((("accept", "a"), ("host", "h"), ("accept", "b")))
    assert {"accept": "a, b", "host": "h"} == dict(headers)


def test_headers_show_their_names_only() -> None:
    """The repr of headers holds no value."""
    headers = Headers((("authorization", SECRET), ("host", "h")))
    assert ("Headers(authorization, host)", 2) == (repr(headers), len(headers))


def test_wire_headers_are_decoded_in_order() -> None:
    """Headers are read as pairs, repeated ones too."""
    assert (("a", "1"), ("b", "é"), ("a", "2")) == read_headers(
        [(b"a", b"1"), (b"b", b"\xe9"), (b"a", b"2")]
    )


def test_a_query_keeps_all_values() -> None:
    """A query maps each name to all its values, blank ones too."""
    assert {"a": ["1", "2"], "b": [""]} == read_query(b"a=1&b=&a=2")


def test_requests_are_given_in_order_of_arrival() -> None:
    """A request that was answered late stands where it arrived."""
    memory = recorder()
    for sequence in (2, 3, 1):
        memory.record(request(sequence))
    assert [1, 2, 3] == [known.sequence for known in memory.requests]


def test_the_oldest_are_dropped_and_counted() -> None:
    """No more than the maximum is kept."""
    memory = recorder(max_recorded=2)
    for sequence in (1, 2, 3, 4):
        memory.record(request(sequence))
    assert ([3, 4], 2) == ([known.sequence for known in memory.requests], memory.dropped)


def test_leaving_counts_once() -> None:
    """A request is in flight from enter to the first leave."""
    memory = recorder()
    first, _second = memory.enter(50001), memory.enter(50002)
    before = memory.in_flight
    memory.leave(first)
    memory.leave(first)
    assert (2, 1) == (before, memory.in_flight)


def test_clear_forgets_all_but_the_number() -> None:
    """After clear nothing is known, and numbering goes on."""
    memory = recorder(max_recorded=1)
    for _ in range(2):
        visit = memory.enter(50001)
        memory.record(request(visit.sequence))
    memory.clear()
    assert ((), 0, 0) == (memory.requests, memory.connections, memory.dropped)
    assert 3 == memory.enter(50001).sequence
