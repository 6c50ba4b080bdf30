"""A request's headers, read once; and whether they can be sent as they are.

Not every http library looks before it writes.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenantry.clients.http import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping

# RFC 9110, sections 5.1 and 5.5: aiohttp writes `X: y` where a name should be, and a header more.
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROLS = {*range(0x20), 0x7F} - set(b"\t")
_IN_VALUES = bytes(byte for byte in range(256) if byte not in _CONTROLS)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What the names of headers tell: whether all are names, and where each stands."""

    sendable: bool
    places: Mapping[bytes, tuple[int, ...]]  # by the name in small letters


class Lines:
    """The headers of one request as they would be written, by their names in small letters."""

    __slots__ = ("_raw", "_shape")

    def __init__(self, headers: httpx.Headers) -> None:
        self._raw = headers.raw
        # Requests of one kind have the same names: those are looked at once.
        self._shape = _shape_of(tuple([name for name, _ in self._raw]))

    def __contains__(self, name: bytes) -> bool:
        return name in self._shape.places

    def values(self, name: bytes) -> list[bytes]:
        """Return what stands under a name, in all its lines."""
        raw = self._raw
        return [raw[place][1] for place in self._shape.places.get(name, ())]

    def fault(self) -> str:
        """Return why a line could not be read as it was meant, or nothing."""
        if not self._shape.sendable:
            return "a header has a name that no header can have"
        if b"".join([value for _, value in self._raw]).translate(None, _IN_VALUES):
            return "a header has a value that no header can have"
        return ""


def unsendable(request: httpx.Request, lines: Lines) -> str:
    """Return why a request's headers are refused, or nothing."""
    reason = lines.fault()
    if not reason and _says_another_end(request, lines):
        return "a header says that the body ends elsewhere, which hides one request in another"
    return reason


@functools.lru_cache(maxsize=1024)
def _shape_of(names: tuple[bytes, ...]) -> _Shape:
    places: dict[bytes, tuple[int, ...]] = {}
    for place, name in enumerate(names):
        small = name.lower()
        places[small] = (*places.get(small, ()), place)
    return _Shape(all(_NAME.fullmatch(name) for name in names), places)


def _says_another_end(request: httpx.Request, lines: Lines) -> bool:
    """Whether the caller said a length, or a transfer encoding, that is not the body's own."""
    lengths, in_chunks = lines.values(b"content-length"), b"transfer-encoding" in lines
    if not isinstance(request.stream, httpx.ByteStream):
        return in_chunks and bool(lengths)
    return in_chunks or lengths not in ([], [b"%d" % len(request.read())])
