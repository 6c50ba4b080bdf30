"""One request for each address of each tenant, some at a time, and what came back of each."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tenantry.cli.fresh import endpoints
from tenantry.errors import CredentialUnavailableError, TenantDisabledError, TenantryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tenantry.cli.fresh import Fresh
    from tenantry.registry import ClientRegistry

# What to do about an answer, by its status.
_NEXT = {
    401: "the key is not accepted: rotate it, or look where it comes from with `tenantry show`",
    403: "the key may not list models: look at the permissions of its project",
    404: "nothing is there: look at base_url, azure_endpoint and api_version",
    429: "too many requests, or no quota left: ask for fewer at a time, or look at its limits",
}
_OTHER = "the service is in trouble: look at its status page, and try again"


@dataclass(frozen=True, slots=True)
class Door:
    """One address of one tenant; "" is the endpoint that has no name."""

    tenant: str
    endpoint: str
    provider: str

    @property
    def name(self) -> str:
        return f"{self.tenant} {self.endpoint}".rstrip()

    def as_dict(self) -> dict[str, Any]:
        return {
            "tenant": self.tenant,
            "endpoint": self.endpoint or None,
            "provider": self.provider,
        }


@dataclass(frozen=True, slots=True)
class Pong:
    """What came back: how many models, or what went wrong, in a word and at length."""

    seconds: float
    models: int | None = None
    fault: str = ""
    detail: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {
            "ok": not self.fault,
            "models": self.models,
            "seconds": round(self.seconds, 3),
            "fault": self.fault or None,
            "detail": self.detail or None,
        }


def doors(read: Fresh, tenants: Sequence[str]) -> list[Door]:
    """Return the addresses of tenants, or of all who are served.

    Raises:
        TenantError: one of those that were named is unknown, disabled or in quarantine.
    """
    for name in tenants:
        if not read.catalog.get(name).settings.enabled:
            raise TenantDisabledError(name)
    return list(_doors(read, tenants or read.served()))


def _doors(read: Fresh, names: Sequence[str]) -> Iterator[Door]:
    for name in names:
        for endpoint, settings in endpoints(read.catalog.get(name)).items():
            if settings.enabled:
                yield Door(name, endpoint, settings.provider)


async def ping(
    registry: ClientRegistry,
    wanted: Sequence[Door],
    *,
    concurrency: int,
    timeout: float,  # noqa: ASYNC109  # of each door, which has its outcome then
    answered: Callable[[], object],
) -> list[Pong]:
    """Ask at every door; the registry is closed afterwards.

    Args:
        registry: whose clients ask.
        wanted: where.
        concurrency: how many at a time.
        timeout: seconds for each, its credential included.
        answered: called after each.
    """
    turns = asyncio.Semaphore(concurrency)

    async def one(door: Door) -> Pong:
        async with turns:
            pong = await _ask(registry, door, timeout)
        answered()
        return pong

    async with registry:
        return await asyncio.gather(*map(one, wanted))


async def _ask(registry: ClientRegistry, door: Door, limit: float) -> Pong:
    began = time.monotonic()
    try:
        async with asyncio.timeout(limit):
            await registry.aload(door.tenant)
            client = registry.async_client(
                door.tenant, endpoint=door.endpoint or None, max_retries=0, timeout=limit
            )
            page = await client.models.list()
    except Exception as error:  # noqa: BLE001  # whatever it is, it is this door's outcome
        return Pong(time.monotonic() - began, None, *_fault(error, limit))
    return Pong(time.monotonic() - began, len(page.data))


def _fault(error: BaseException, limit: float) -> tuple[str, str]:
    """Word what went wrong; an answer's own text is not shown: it may repeat the key."""
    status = getattr(error, "status_code", None)
    if status is not None:
        return f"HTTP {status}", _NEXT.get(status, _OTHER)
    for cause in _causes(error):
        if isinstance(cause, CredentialUnavailableError):
            return "no credential", f"{cause.reference}: {cause.reason}"
        if isinstance(cause, TenantryError):
            return "refused", str(cause)
    # The SDK's own errors, by name: the command line does not import it.
    kind = type(error).__name__
    if "Timeout" in kind:
        return "no answer", f"nothing came in {limit:g} s: try a longer --timeout"
    if "Connection" in kind:
        return "no connection", "its address cannot be reached: `tenantry doctor` may say why"
    return "failed", kind


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
