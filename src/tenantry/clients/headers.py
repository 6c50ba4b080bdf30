"""Can a request's headers be sent as they are? Not every http library looks before it writes."""

from __future__ import annotations

import functools
import re

from tenantry.clients.http import httpx

# RFC 9110, sections 5.1 and 5.5: aiohttp writes `X: y` where a name should be, and a header more.
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NOT_IN_A_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


def unsendable(request: httpx.Request) -> str:
    """Return why a request's headers are refused, or nothing."""
    raw = request.headers.raw
    # All at once, and names once for all: this is done for every request.
    if not _are_names(tuple([name.lower() for name, _ in raw])):
        return "a header has a name that no header can have"
    if _NOT_IN_A_VALUE.search(b"".join([value for _, value in raw])):
        return "a header has a value that no header can have"
    if _says_another_end(request):
        return "a header says that the body ends elsewhere, which hides one request in another"
    return ""


@functools.lru_cache(maxsize=1024)
def _are_names(names: tuple[bytes, ...]) -> bool:
    return all(_NAME.fullmatch(name) for name in names)


def _says_another_end(request: httpx.Request) -> bool:
    """Whether the caller said a length, or a transfer encoding, that is not the body's own."""
    length = request.headers.get("content-length")
    in_chunks = "transfer-encoding" in request.headers
    if not isinstance(request.stream, httpx.ByteStream):
        return length is not None and in_chunks
    return in_chunks or length not in (None, str(len(request.read())))
