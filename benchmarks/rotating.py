"""What do requests notice of ten rotations? Each time the service refuses the old key at once."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from typing import TYPE_CHECKING

from benchmarks.loads import MESSAGES, MODEL
from benchmarks.ratios import Ratio, Target
from benchmarks.report import Row, Topic
from benchmarks.rounds import by_turns_async, spread
from benchmarks.workers import at_once

from tenantry import ClientRegistry, Document

if TYPE_CHECKING:
    from benchmarks.plan import Plan
    from benchmarks.server import Served
    from openai import AsyncOpenAI

ROTATIONS = 10
CONCURRENT = 4
DURING, WITHOUT = "during ten rotations", "without"


class Keys:
    """A source whose key changes when it is told, and a server that knows no other."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._numbers = itertools.count(1)
        self.rotate()

    def rotate(self) -> None:
        self._key = f"sk-{next(self._numbers)}"
        self._served.accept_only(self._key)

    def fetch(self) -> Document:
        return Document(self._key)


def measure(plan: Plan, served: Served) -> Topic:
    keys = Keys(served)
    try:
        found = asyncio.run(_rounds(plan, served, keys))
    finally:
        served.accept_only("")
    return Topic(
        "Rotations under load",
        f"the 99th percentile of latency, in milliseconds, {CONCURRENT} at once; each of the ten"
        f" keys is refused from one moment to the next, within {plan.rotating} requests",
        [
            Row(
                "p99 during ten rotations",
                "p99 without",
                Ratio.of(found[DURING], found[WITHOUT]),
                Target(1.1),
            )
        ],
        ("when", "p99, median (least .. most)"),
        [(when, spread([1e3 * each for each in p99])) for when, p99 in found.items()],
        found,
    )


async def _rounds(plan: Plan, served: Served, keys: Keys) -> dict[str, list[float]]:
    tenant = {"api_key": keys.fetch, "base_url": served.base_url, "http": "aiohttp"}
    async with ClientRegistry.open({"tenants": {"acme": tenant}}, environ={}) as registry:
        client = registry.async_client("acme", max_retries=0)
        every = plan.rotating // ROTATIONS
        return await by_turns_async(
            {
                WITHOUT: lambda: p99(client, keys, plan.rotating, 0),
                DURING: lambda: p99(client, keys, plan.rotating, every),
            },
            plan.rounds,
        )


async def p99(client: AsyncOpenAI, keys: Keys, requests: int, rotate_every: int) -> float:
    """Return the 99th percentile of seconds that a request took; none may fail."""
    took: list[float] = []

    async def ask() -> None:
        began = time.perf_counter()
        await client.chat.completions.create(model=MODEL, messages=MESSAGES)
        took.append(time.perf_counter() - began)
        if rotate_every and len(took) % rotate_every == 0:
            keys.rotate()

    await at_once(ask, requests, CONCURRENT)
    return statistics.quantiles(took, n=100)[98]
