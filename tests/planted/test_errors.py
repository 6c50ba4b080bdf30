"""No secret is found in errors, whoever keeps them or writes their frames."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.planted.errands import async_requests, late, requests
from tests.planted.hunting import Hunt, found_in, pickled, tracebacks

from tenantry import ClientRegistry

if TYPE_CHECKING:
    from tests.planted.estate import Estate

# What a caller passed in is in the caller's own frames too, and in those of the SDK.
PASSED = ("foreign", "put")

BOTH = pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])


def hunted(estate: Estate, hunt: Hunt, *, asynchronous: bool) -> list[str]:
    """Return what is found of the errors of requests."""
    with ClientRegistry.open(estate.config(), environ=estate.environ) as registry:
        if asynchronous:
            asyncio.run(async_requests(registry, estate, hunt))
        else:
            requests(registry, estate, hunt)
        hunt.fails("refresh", lambda: registry.refresh("raising"))
    return found(estate, hunt)


def found(estate: Estate, hunt: Hunt) -> list[str]:
    planted = {place: secret for place, secret in estate.planted.items() if place not in PASSED}
    return found_in(hunt.surfaces, planted)


@BOTH
def test_no_planted_secret_is_found_in_frames(estate: Estate, *, asynchronous: bool) -> None:
    """Who writes tracebacks with their locals sees no secret in ours, nor in the SDK's."""
    assert [] == hunted(estate, Hunt(tracebacks), asynchronous=asynchronous)


async def test_no_planted_secret_is_found_in_frames_of_aiohttp(estate: Estate) -> None:
    """Its own frames hold the headers that it sends."""
    hunt = Hunt(tracebacks)
    async with ClientRegistry.open(estate.config(), environ=estate.environ) as registry:
        await late(registry, estate, hunt, "carried")
    assert [] == found(estate, hunt)


@BOTH
def test_no_planted_secret_is_pickled_with_an_error(estate: Estate, *, asynchronous: bool) -> None:
    """Celery keeps errors so, and so does who sends them to another process."""
    assert [] == hunted(estate, Hunt(pickled), asynchronous=asynchronous)
