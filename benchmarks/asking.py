"""What does a request take of the processor, with the same transport under both?

Both ask from one process, by turns, one request after the other; both get a client whose pool was
made before, and the SDK's own has a key that never changes.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import openai
from benchmarks.loads import KEY, MESSAGES, MODEL, TENANT, opened
from benchmarks.ratios import Ratio, Target
from benchmarks.report import Row, Topic
from benchmarks.rounds import Took, ataken, by_turns, by_turns_async, noted, spread, taken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.loads import Ask
    from benchmarks.plan import Plan
    from benchmarks.server import Served

    from tenantry import ClientRegistry

OURS, BARE = "tenantry", "bare SDK"
TARGET = Target(1.03)
Rounds: TypeAlias = "dict[str, list[Took]]"


def measure(plan: Plan, served: Served) -> Topic:
    found = {
        "sync, httpx": sync(plan, served),
        "async, httpx": asyncio.run(httpx(plan, served)),
        "async, aiohttp": asyncio.run(aiohttp(plan, served)),
    }
    return Topic(
        "One request after the other",
        "CPU time of a request, in microseconds",
        [_row(how, rounds) for how, rounds in found.items()],
        ("transport", "whose", "CPU, median (least .. most)", "wall"),
        [
            (
                how,
                whose,
                *(
                    spread([1e6 * getattr(each, of) for each in all_], ".0f")
                    for of in ("cpu_each", "wall_each")
                ),
            )
            for how, rounds in found.items()
            for whose, all_ in rounds.items()
        ],
        {how: noted(rounds) for how, rounds in found.items()},
    )


def _row(how: str, rounds: Rounds) -> Row:
    ours, bare = ([each.cpu_each for each in rounds[whose]] for whose in (OURS, BARE))
    return Row(f"CPU per request, {how}", "bare SDK, static key", Ratio.of(ours, bare), TARGET)


def sync(plan: Plan, served: Served) -> Rounds:
    with sync_ways(served) as ways, frozen():
        return by_turns(
            {whose: partial(taken, ask, plan.requests) for whose, ask in ways.items()},
            plan.turns,
        )


@contextlib.contextmanager
def sync_ways(served: Served) -> Iterator[dict[str, Callable[[], object]]]:
    """Yield how each asks once."""
    http = openai.DefaultHttpxClient()
    with (
        openai.OpenAI(api_key=KEY, base_url=served.base_url, http_client=http) as bare,
        opened(served.base_url, "httpx") as registry,
    ):
        yield {
            BARE: lambda: bare.chat.completions.create(model=MODEL, messages=MESSAGES),
            OURS: lambda: registry.client(TENANT).chat.completions.create(
                model=MODEL, messages=MESSAGES
            ),
        }


@contextlib.contextmanager
def frozen() -> Iterator[None]:
    """Have the garbage collector leave alone what is there, which the rounds do not change."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


async def httpx(plan: Plan, served: Served) -> Rounds:
    return await _async(plan, served, "httpx", openai.DefaultAsyncHttpxClient())


async def aiohttp(plan: Plan, served: Served) -> Rounds:
    return await _async(plan, served, "aiohttp", openai.DefaultAioHttpClient())


async def _async(
    plan: Plan, served: Served, library: str, http: openai.DefaultAsyncHttpxClient
) -> Rounds:
    async with (
        openai.AsyncOpenAI(api_key=KEY, base_url=served.base_url, http_client=http) as bare,
        opened(served.base_url, library) as registry,
    ):
        ways = async_ways(bare, registry)
        with frozen():
            return await by_turns_async(
                {whose: partial(ataken, ask, plan.requests) for whose, ask in ways.items()},
                plan.turns,
            )


def async_ways(bare: openai.AsyncOpenAI, registry: ClientRegistry) -> dict[str, Ask]:
    """Return how each asks once."""
    return {
        BARE: lambda: bare.chat.completions.create(model=MODEL, messages=MESSAGES),
        OURS: lambda: registry.async_client(TENANT).chat.completions.create(
            model=MODEL, messages=MESSAGES
        ),
    }
