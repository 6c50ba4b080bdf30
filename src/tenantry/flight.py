"""One fetch on its way, and everybody who waits for it."""

from __future__ import annotations

import asyncio
import traceback
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import PurePath
from typing import TYPE_CHECKING, Protocol

from tenantry.errors import Failure, SourceError, TenantryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenantry.breaker import Breaker
    from tenantry.holding import Held
    from tenantry.secret import Document


class Fetch(Protocol):
    """What asks a source for the document; `forced` says that the held value was rejected."""

    def __call__(self, *, forced: bool) -> Document: ...


class Unavailable(Exception):  # noqa: N818  # never leaves the library: credential.py words it
    """No usable document is held. Has the last failure and the seconds until the next attempt."""

    def __init__(self, cause: SourceError, retry_after: float) -> None:
        super().__init__()
        self.cause = cause
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Change:
    """What happened to a document, for whoever keeps the books.

    `previous` is what served before, where the value changed. With `rejected` the service refused
    `held`, and `previous` serves on. `seconds` is how long a fetch took, None where nothing came of
    one. `pin` is `pinned` where `held` was pinned, else why its pin ended.
    """

    held: Held | None
    previous: Held | None
    error: SourceError | None = None
    retry_in: float = 0.0
    usable: bool = True
    rejected: bool = False
    seconds: float | None = None
    pin: str = ""


class Reason(Enum):
    """Why a fetch was started."""

    DUE = "due"  # what is held is stale, or nothing is
    REJECTED = "rejected"  # the service answered 401
    WANTED = "wanted"  # somebody said refresh()


class Flight:
    """One fetch, from its start until its outcome is known."""

    __slots__ = ("done", "drop_previous", "reason", "started", "tenant")

    def __init__(
        self,
        started: float,
        done: Future[None],
        reason: Reason,
        *,
        tenant: str = "",
        drop_previous: bool = False,
    ) -> None:
        self.started = started
        self.done = done
        self.reason = reason
        self.tenant = tenant  # whose 401 it was
        self.drop_previous = drop_previous

    @property
    def forced(self) -> bool:
        return self.reason is not Reason.DUE

    def joinable(self, reason: Reason, since: float) -> bool:
        """Whether it serves who wants a fetch for that reason, begun at `since` or later."""
        return self.started >= since and (self.forced or reason is Reason.DUE)

    def wait(self, limit: float) -> None:
        wait([self.done], limit)

    async def await_(self, limit: float) -> None:
        loop, landed = asyncio.get_running_loop(), asyncio.Event()

        def wake(_: Future[None]) -> None:
            with suppress(RuntimeError):  # the loop was closed, and nobody waits any more
                loop.call_soon_threadsafe(landed.set)

        # Not asyncio.wrap_future: cancelled, it would take the flight of all others along.
        self.done.add_done_callback(wake)
        with suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await landed.wait()


def worded(error: BaseException) -> SourceError:
    """Say where a source failed, and not what its exception says: that may quote a secret."""
    if isinstance(error, SourceError):
        return error
    if isinstance(error, TenantryError):  # a package that is missing: ours say no secret
        return SourceError(str(error), failure=Failure.DENIED)
    where = ""
    if error.__traceback__ is not None:
        *_, (frame, line) = traceback.walk_tb(error.__traceback__)
        where = f" at {PurePath(frame.f_code.co_filename).name}:{line}"
    return SourceError(f"the source failed with {type(error).__name__}{where}")


def fetched(
    flight: Flight,
    fetch: Fetch,
    breaker: Breaker | None,
    clock: Callable[[], float],
    dice: Callable[[], float],
) -> Document:
    """Ask the source; through its breaker, unless somebody wants an answer of the source itself.

    Raises:
        Exception: whatever the source raises, or the breaker.
    """
    if breaker is not None and flight.reason is not Reason.WANTED:
        breaker.check(clock(), dice())
    error: SourceError | None = None
    try:
        document = fetch(forced=flight.forced)
    except BaseException as raised:
        error = worded(raised)
        raise
    finally:
        if breaker is not None:
            breaker.landed(error, clock(), dice())
    if document.lifetime is not None and not document.lifetime > 0:
        reason = "the secret arrived already expired"
        raise SourceError(reason, hint="compare this machine's clock with the source's")
    return document
