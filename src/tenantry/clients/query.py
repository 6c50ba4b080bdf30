"""Secrets of a query: written into the URL below whatever logs URLs, or shows them in a response.

To everybody above the transport, the http library's own log included, the URL has placeholders.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tenantry.clients.http import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenantry.secret import Secret

SECRETS = "tenantry.query"  # the extension of a request that says them; redirects take it along


def fill(request: httpx.Request, name: str, placeholder: str, secret: Secret) -> None:
    """Have `secret` sent as the parameter `name`, where the URL shows `placeholder`."""
    if request.url.params.get(name) != placeholder:
        request.url = request.url.copy_set_param(name, placeholder)
    said: Mapping[str, tuple[str, Secret]] = request.extensions.get(SECRETS, {})
    request.extensions[SECRETS] = {**said, name: (placeholder, secret)}


def filled(request: httpx.Request) -> httpx.Request:
    """Return the request to send: a copy, where its query has a secret."""
    said: Mapping[str, tuple[str, Secret]] | None = request.extensions.get(SECRETS)
    if not said:
        return request
    url = request.url
    for name, (placeholder, secret) in said.items():
        if url.params.get(name) == placeholder:
            url = url.copy_set_param(name, secret.reveal())
    return _Filled(
        request.method,
        url,
        headers=request.headers,
        stream=request.stream,
        extensions=request.extensions,
    )


class _Filled(httpx.Request):
    """A request whose address has a secret; tracebacks may show it with their locals."""

    def __repr__(self) -> str:
        return f"<Request({self.method!r})>"


def hide(request: httpx.Request, response: httpx.Response) -> None:
    """Put placeholders into a redirect that repeats the secrets of its request."""
    said: Mapping[str, tuple[str, Secret]] | None = request.extensions.get(SECRETS)
    location = response.headers.get("location")
    if not said or location is None:
        return
    with contextlib.suppress(httpx.InvalidURL):  # which is for the http library to say
        url = httpx.URL(location)
        for name, (placeholder, secret) in said.items():
            if url.params.get(name) == secret.reveal():
                url = url.copy_set_param(name, placeholder)
                response.headers["location"] = str(url)
