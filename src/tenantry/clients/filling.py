"""Secrets are written into a copy of a request, just before it is sent.

What everybody above the transport sees, logs, keeps or pickles has placeholders: the http library
with its log, the SDK's errors and responses, tracebacks with their locals.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from tenantry.clients.http import httpx
from tenantry.clients.slots import BEARER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tenantry.clients.slots import Lot, Stamped
    from tenantry.secret import Secret

EXTENSION = "tenantry.filling"  # of a request: what is to be filled in; redirects take it along


class _Filling(NamedTuple):
    """What fills the places of a request, and of those that it is redirected to.

    `of` is the identity of the request that passed the gate, whose address was `url`.
    """

    of: int
    url: httpx.URL
    lots: Sequence[Lot]
    in_query: bool  # may be

    def secrets(self) -> list[tuple[Stamped, Secret]]:
        return [sent for lot in self.lots for sent in lot.filling]


def fill(request: httpx.Request, lots: Sequence[Lot], *, in_query: bool) -> None:
    """Have the secrets of `lots` sent with a request that was found right.

    Those that they hold when it is sent; `in_query` where the query may have some, too.
    """
    request.extensions[EXTENSION] = _Filling(id(request), request.url, lots, in_query)


def is_checked(request: httpx.Request) -> bool:
    """Whether a request is the one that was found right; what it is redirected to is not."""
    filling: _Filling | None = request.extensions.get(EXTENSION)
    return filling is not None and filling.of == id(request) and filling.url is request.url


def filled(request: httpx.Request) -> httpx.Request:
    """Return the request to send: a copy, where it has a secret."""
    filling: _Filling | None = request.extensions.get(EXTENSION)
    if filling is None or not filling.lots:
        return request
    copy = _Filled(
        request.method,
        request.url,
        headers=request.headers,
        stream=request.stream,
        extensions=request.extensions,
    )
    redirected = filling.of != id(request)
    for lot in filling.lots:
        for place, secret in lot.filling:
            if place.in_query:
                copy.url = _with_parameter(copy.url, place, secret)
            elif redirected and place.name not in request.headers:
                continue
            elif place.slot.api_key_header:
                copy.headers.pop("authorization", None)
                copy.headers["api-key"] = secret.reveal()
            else:
                copy.headers[place.name] = f"{BEARER if place.bearer else ''}{secret.reveal()}"
    return copy


class _Filled(httpx.Request):
    """A request with its secrets; tracebacks may show it with their locals."""

    def __repr__(self) -> str:
        return f"<Request({self.method!r})>"


def hide(request: httpx.Request, response: httpx.Response) -> None:
    """Put placeholders into a redirect that repeats secrets of the query of its request."""
    filling: _Filling | None = request.extensions.get(EXTENSION)
    if filling is None or not filling.in_query:
        return
    location = response.headers.get("location")
    if location is None:
        return
    with contextlib.suppress(httpx.InvalidURL):  # which is for the http library to say
        url = httpx.URL(location)
        for place, secret in filling.secrets():
            if place.in_query and url.params.get(place.name) == secret.reveal():
                url = url.copy_set_param(place.name, place.slot.placeholder)
                response.headers["location"] = str(url)


def _with_parameter(url: httpx.URL, place: Stamped, secret: Secret) -> httpx.URL:
    if url.params.get(place.name) != place.slot.placeholder:
        return url  # a redirect says something else there
    return url.copy_set_param(place.name, secret.reveal())
