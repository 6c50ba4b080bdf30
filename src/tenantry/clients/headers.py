"""A request's headers, read once; and whether they can be sent as they are.

Not every http library looks before it writes.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, NamedTuple

from tenantry.clients.http import httpx
from tenantry.settings.tenant import CREDENTIAL_HEADERS

if TYPE_CHECKING:
    from collections.abc import Mapping

# RFC 9110, sections 5.1 and 5.5: aiohttp writes `X: y` where a name should be, and a header more.
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_AUTHORIZATION = b"authorization"
_CREDENTIALS = frozenset(name.encode() for name in CREDENTIAL_HEADERS)
_CONTROLS = {*range(0x20), 0x7F} - set(b"\t")
_IN_VALUES = bytes(byte for byte in range(256) if byte not in _CONTROLS)


class _Shape(NamedTuple):
    """What the names of headers tell: whether all are names, and where each stands."""

    sendable: bool
    places: Mapping[bytes, tuple[int, ...]]  # by the name in small letters
    authorization: int | None  # of the one line of it, where no other could carry a credential


class Lines:
    """The headers of one request as they would be written, by their names in small letters."""

    __slots__ = ("all", "shape")

    def __init__(self, headers: httpx.Headers) -> None:
        names: tuple[bytes, ...] = ()
        self.all: tuple[bytes, ...] = ()
        if raw := headers.raw:
            names, self.all = zip(*raw, strict=True)
        # Requests of one kind have the same names: those are looked at once.
        self.shape = _shape_of(names)

    def __contains__(self, name: bytes) -> bool:
        return name in self.shape.places

    def values(self, name: bytes) -> list[bytes]:
        """Return what stands under a name, in all its lines."""
        places = self.shape.places.get(name)
        return [] if places is None else [self.all[place] for place in places]

    @property
    def authorization(self) -> bytes | None:
        """What is said as `Authorization`, once, where nothing else could carry a credential."""
        place = self.shape.authorization
        return None if place is None else self.all[place]


def unsendable(request: httpx.Request, lines: Lines) -> str:
    """Return why a request's headers are refused, or nothing."""
    if not lines.shape.sendable:
        return "a header has a name that no header can have"
    if b"".join(lines.all).translate(None, _IN_VALUES):
        return "a header has a value that no header can have"
    if _says_another_end(request, lines):
        return "a header says that the body ends elsewhere, which hides one request in another"
    return ""


@functools.lru_cache(maxsize=1024)
def _shape_of(names: tuple[bytes, ...]) -> _Shape:
    places: dict[bytes, tuple[int, ...]] = {}
    for place, name in enumerate(names):
        small = name.lower()
        places[small] = (*places.get(small, ()), place)
    credentials = [place for name in places.keys() & _CREDENTIALS for place in places[name]]
    alone = len(credentials) == 1 and _AUTHORIZATION in places
    sendable = all(_NAME.fullmatch(name) for name in names)
    return _Shape(sendable, places, credentials[0] if alone else None)


def _says_another_end(request: httpx.Request, lines: Lines) -> bool:
    """Whether the caller said a length, or a transfer encoding, that is not the body's own."""
    lengths, in_chunks = lines.values(b"content-length"), b"transfer-encoding" in lines
    if lengths and in_chunks:
        return True
    if not isinstance(request.stream, httpx.ByteStream):
        return False
    return lengths != [b"%d" % len(request.read())] if lengths else in_chunks
