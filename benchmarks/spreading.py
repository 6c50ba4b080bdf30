"""Are requests of many tenants as fast as as many of one?

Each round asks for tenants that nobody asked for before, so that what is built for them, and the
connections that are opened, are a part of what is measured.
"""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING

from benchmarks.loads import MESSAGES, MODEL, TENANT, opened
from benchmarks.ratios import Ratio, Target
from benchmarks.report import Row, Topic
from benchmarks.rounds import Took, ataken, by_turns_async, noted, rate_and_cpu
from benchmarks.workers import at_once

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.plan import Plan
    from benchmarks.server import Served

    from tenantry import ClientRegistry

ALL = 10_000
ASKED = 1_000
CONCURRENT = 100
MANY, ONE = "a thousand of ten thousand tenants", "one tenant"


def measure(plan: Plan, served: Served) -> Topic:
    found = asyncio.run(_rounds(plan, served))
    many, one = ([each.rate for each in found[whose]] for whose in (MANY, ONE))
    return Topic(
        "Ten thousand tenants",
        f"async requests a second on aiohttp, {CONCURRENT} at once: {plan.spread:,} in all",
        [Row(f"throughput over {MANY}", ONE, Ratio.of(many, one), Target(0.9, at_most=False))],
        ("whose", "requests/s, median (least .. most)", "CPU microseconds"),
        [(whose, *rate_and_cpu(all_)) for whose, all_ in found.items()],
        noted(found),
    )


async def _rounds(plan: Plan, served: Served) -> dict[str, list[Took]]:
    async with opened(served.base_url, "aiohttp", ALL) as registry:
        requests, tenants = plan.spread // plan.rounds, ASKED // plan.rounds
        fresh = iter(registry.tenants)

        async def many() -> Took:
            names = itertools.cycle(list(itertools.islice(fresh, tenants)))
            return await _asked(registry, names, requests)

        async def one() -> Took:
            return await _asked(registry, itertools.repeat(TENANT), requests)

        return await by_turns_async({MANY: many, ONE: one}, plan.rounds)


async def _asked(registry: ClientRegistry, names: Iterator[str], requests: int) -> Took:
    async def ask() -> None:
        client = registry.async_client(next(names))
        await client.chat.completions.create(model=MODEL, messages=MESSAGES)

    took = await ataken(lambda: at_once(ask, requests, CONCURRENT))
    return Took(took.cpu, took.wall, requests)
