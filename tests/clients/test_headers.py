"""Headers that one library refuses and another one writes as two are refused for all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tenantry.clients.headers import Lines, unsendable
from tenantry.clients.http import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator


def refused(headers: Any, content: Any = b"hello") -> str:
    request = httpx.Request("POST", "https://api.example/v1", headers=headers, content=content)
    return unsendable(request, Lines(request.headers))


def chunks() -> Iterator[bytes]:
    yield b"hello"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {b"X-Team": b"blue", b"x-empty": b"", b"!#$%&'*+.^_`|~-": "\tü ~".encode()},
        {b"Content-Length": b"5"},
    ],
)
def test_what_can_be_sent_passes(headers: dict[bytes, bytes]) -> None:
    """Names are tokens; values are text with tabs, and bytes above ASCII."""
    assert "" == refused(headers)


@pytest.mark.parametrize("name", [b"", b" ", b"a b", b"Authorization: Bearer x", b"a\r\nb", b"a\0"])
def test_a_name_that_is_none_is_refused(name: bytes) -> None:
    """What would be written as another header, or as nothing, is not sent."""
    assert "name" in refused([(b"x-first", b"1"), (name, b"yes")])


@pytest.mark.parametrize("value", [b"a\nb", b"a\r\nX: y", b"\0", b"\x08", b"\x7f"])
def test_a_value_that_is_none_is_refused(value: bytes) -> None:
    """A value does not begin another header."""
    assert "value" in refused({b"x-first": b"1", b"X-Team": value})


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({"Content-Length": "3"}, b"hello"),
        ({"Content-Length": "3"}, b""),
        ({"Transfer-Encoding": "chunked"}, b"hello"),
        ({"transfer-encoding": "chunked", "CONTENT-LENGTH": "5"}, b"hello"),
        ({"transfer-encoding": "chunked", "CONTENT-LENGTH": "5"}, "chunks"),
    ],
)
def test_a_body_ends_where_it_ends(headers: dict[str, str], content: Any) -> None:
    """Two lengths are how one request is smuggled in another one."""
    assert "ends elsewhere" in refused(headers, chunks() if content == "chunks" else content)


def test_a_body_in_chunks_passes() -> None:
    """What the http library says of a body that it does not know the length of is true."""
    assert "" == refused({}, chunks())
    assert "" == refused({"Content-Length": "5"}, chunks())


def test_lines_are_found_by_name_in_any_spelling() -> None:
    """All lines of a name, in their order, as they would be written."""
    lines = Lines(httpx.Headers([("X-Team", "blue"), ("Accept", "*/*"), ("x-team", "RED")]))
    assert [b"blue", b"RED"] == lines.values(b"x-team")
    assert (True, False, []) == (b"accept" in lines, b"host" in lines, lines.values(b"host"))


def test_two_lengths_are_refused_even_if_they_are_equal() -> None:
    """One of them is the http library's own."""
    assert "ends elsewhere" in refused([("Content-Length", "5"), ("content-length", "5")])
