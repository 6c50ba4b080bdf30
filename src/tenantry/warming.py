"""Fetching secrets before a request wants them: some tenants at a time, in bounded time."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeAlias

from tenantry.errors import CredentialUnavailableError, Failure, SourceError, TenantryError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from tenantry.credential import Credential

    # How a tenant's credentials are found; raises what keeps the tenant from being served.
    Finder: TypeAlias = Callable[[str], Sequence[Credential]]

REPORT = 1.0  # seconds that what arrived may take to be told to hooks

Outcome: TypeAlias = "dict[str, TenantryError | None]"


def warm(names: Iterable[str], find: Finder, *, concurrency: int, timeout: float) -> Outcome:
    """Fetch what tenants need; return, by name, what went wrong or None.

    Args:
        names: the tenants.
        find: gives a tenant's credentials.
        concurrency: how many tenants at a time.
        timeout: seconds for all of them; who is not fetched by then has an error.
    """
    deadline = time.monotonic() + timeout

    def one(name: str) -> tuple[str, TenantryError | None]:
        return name, _one(name, find, deadline)

    with ThreadPoolExecutor(concurrency, thread_name_prefix="tenantry-warm") as threads:
        return dict(threads.map(one, names))


async def awarm(names: Iterable[str], find: Finder, *, concurrency: int, limit: float) -> Outcome:
    """Do what `warm` does, without holding up the event loop."""
    deadline = time.monotonic() + limit
    turns = asyncio.Semaphore(concurrency)

    async def one(name: str) -> tuple[str, TenantryError | None]:
        async with turns:
            return name, await _aone(name, find, deadline)

    return dict(await asyncio.gather(*(one(name) for name in names)))


def warm_at_once(
    names: Sequence[str], find: Finder, wanted: Callable[[Credential], bool] | None
) -> list[TenantryError]:
    """Fetch what tenants need, all at the same time; return what went wrong.

    Args:
        names: the tenants.
        find: gives a tenant's credentials.
        wanted: says which of them are fetched; None is all.
    """
    documents = {
        name: [each for each in find(name) if wanted is None or wanted(each)] for name in names
    }
    # All at once, so that the waits below are one wait.
    flights = [
        (credential, credential.prefetch()) for found in documents.values() for credential in found
    ]
    outcome = warm(names, documents.__getitem__, concurrency=1, timeout=30.0)
    for credential, flight in flights:
        if flight is None or flight.done.done():
            continue
        if credential.peek() is not None:
            flight.wait(REPORT)  # who subscribes from now on does not hear of it any more
    return [error for error in outcome.values() if error is not None]


def fault_of(get: Callable[[], object]) -> TenantryError | None:
    """Return why a source does not deliver; one that has no such secret delivers."""
    try:
        get()
    except CredentialUnavailableError as error:
        return None if _is_absence(error) else error
    return None


async def afault_of(get: Callable[[], Awaitable[object]]) -> TenantryError | None:
    """Do what `fault_of` does, without holding up the event loop."""
    try:
        await get()
    except CredentialUnavailableError as error:
        return None if _is_absence(error) else error
    return None


def _is_absence(error: CredentialUnavailableError) -> bool:
    cause = error.__cause__
    return isinstance(cause, SourceError) and cause.failure is Failure.ABSENT


def _one(name: str, find: Finder, deadline: float) -> TenantryError | None:
    try:
        for credential in find(name):
            _check_time(name, credential, deadline)
            credential.get()
    except TenantryError as error:
        return error
    return None


async def _aone(name: str, find: Finder, deadline: float) -> TenantryError | None:
    try:
        for credential in find(name):
            _check_time(name, credential, deadline)
            await credential.aget()
    except TenantryError as error:
        return error
    return None


def _check_time(name: str, credential: Credential, deadline: float) -> None:
    if time.monotonic() >= deadline:
        reference = f"{credential.setting} from {credential.reference}"
        reason = "not fetched in the time that warming has"
        raise CredentialUnavailableError(name, reference=reference, reason=reason, retry_after=0.0)
