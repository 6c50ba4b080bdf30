"""What one request goes through, noted only where somebody asked to be told.

Without a subscriber to requests nothing here is made, and no clock is read for it.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tenantry.clients.http import httpx

EXTENSION = "tenantry.witness"  # of a request: who notes what it goes through
SENDING = "send_request_headers.started"  # as the http library calls it once it has a connection

clock = time.perf_counter
# The SDK asks its callable key before there is a request: how long the caller waited for that.
_asked: ContextVar[float] = ContextVar("tenantry_asked", default=0.0)
# Whose connection is being looked for; aiohttp has no word for it.
looking: ContextVar[Witness | None] = ContextVar("tenantry_looking", default=None)


def note_asked(began: float) -> None:
    """Note how long the callable key took, for the request that follows."""
    _asked.set(clock() - began)


class Witness:
    """Notes the waits of one request, in seconds; lives as long as the gate works on it."""

    def __init__(self) -> None:
        self.waited_for_credential = _asked.get()
        _asked.set(0.0)
        self.waited_for_connection: float | None = None  # None where it is not known
        self._sent = 0.0

    def timed(self, answer: Callable[[], Any]) -> Any:
        """Call what gives a credential, and add how long it takes."""
        began = clock()
        try:
            return answer()
        finally:
            self.waited_for_credential += clock() - began

    async def atimed(self, answer: Callable[[], Awaitable[Any]]) -> Any:
        """Do what `timed` does, for what is awaited."""
        began = clock()
        try:
            return await answer()
        finally:
            self.waited_for_credential += clock() - began

    def connected(self) -> None:
        """Note that there is a connection for the request."""
        if self.waited_for_connection is None:
            self.waited_for_connection = clock() - self._sent

    def sending(self, request: httpx.Request) -> None:
        """Have the http library tell when it has a connection for a sync request."""
        self._sent = clock()
        request.extensions.setdefault("trace", self._trace)

    def asending(self, request: httpx.Request) -> None:
        """Do what `sending` does, for an async request."""
        self._sent = clock()
        request.extensions.setdefault("trace", self._atrace)
        looking.set(self)

    def _trace(self, name: str, _: object) -> None:
        if name.endswith(SENDING):
            self.connected()

    async def _atrace(self, name: str, _: object) -> None:
        self._trace(name, None)
