"""How many requests a second, with how many at once? Each way asks from a process of its own."""

from __future__ import annotations

import contextlib
import statistics
from typing import TYPE_CHECKING, TypeAlias

from benchmarks.plan import LITELLM
from benchmarks.ratios import Ratio, Target
from benchmarks.report import Row, Topic
from benchmarks.rounds import Took, by_turns, noted, rate_and_cpu
from benchmarks.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from benchmarks.plan import Plan
    from benchmarks.server import Served

BARE, HTTPX, AIOHTTP = "bare SDK", "tenantry on httpx", "tenantry on aiohttp"
ROUTER, RAW, BARE_AIOHTTP = "litellm Router", "raw sockets", "bare SDK on aiohttp"
TITLE = "Throughput"
SHARE = {1: 10, 10: 5, 100: 2, 500: 1}  # at once: this part of a round's requests
JUDGED = {BARE: {100: 1.4, 500: 3.5}, ROUTER: {100: 2.5, 500: 3.0}}
Rounds: TypeAlias = "dict[int, dict[str, list[Took]]]"


def measure(plan: Plan, served: Served) -> Topic:
    with contextlib.ExitStack() as open_:
        workers = {
            way: open_.enter_context(Worker(way, served.base_url))
            for way in (BARE, BARE_AIOHTTP, HTTPX, AIOHTTP, RAW)
        }
        if plan.beside_litellm and LITELLM.exists():
            workers[ROUTER] = open_.enter_context(Worker(ROUTER, served.base_url, LITELLM))
        found = {at: _rounds(plan, workers, at) for at in SHARE}
    return _topic(found)


def _rounds(plan: Plan, workers: Mapping[str, Worker], at: int) -> dict[str, list[Took]]:
    rounds = plan.rounds if at in JUDGED[BARE] else max(1, plan.rounds // 3)

    def asked(worker: Worker) -> Callable[[], Took]:
        return lambda: worker.ask(plan.per_round // SHARE[at], at)

    return by_turns({way: asked(worker) for way, worker in workers.items()}, rounds)


def _topic(found: Rounds) -> Topic:
    without = "" if ROUTER in found[1] else "; beside litellm with `make bench-full`"
    return Topic(
        TITLE,
        "async requests a second, and CPU microseconds of each, with what was done behind it"
        f"{without}",
        [
            Row(
                f"async throughput on aiohttp, {at} at once",
                beside,
                _ratio(found[at], beside),
                Target(bound, at_most=False),
            )
            for beside, bounds in JUDGED.items()
            for at, bound in bounds.items()
            if beside in found[at]
        ],
        ("at once", "whose", "requests/s, median (least .. most)", "CPU"),
        [
            (
                str(at),
                way,
                *rate_and_cpu(all_),
            )
            for at, ways in found.items()
            for way, all_ in ways.items()
        ],
        {str(at): noted(ways) for at, ways in found.items()},
    )


def _ratio(ways: Mapping[str, list[Took]], beside: str) -> Ratio:
    ours, others = ([each.rate for each in ways[way]] for way in (AIOHTTP, beside))
    return Ratio.of(ours, others)


def lines(topic: Topic) -> dict[str, list[tuple[int, float]]]:
    """Return what a plot shows: for each way, requests per second over how many at once."""
    found: dict[str, list[tuple[int, float]]] = {}
    for at, ways in topic.measured.items():
        for way, all_ in ways.items():
            rate = statistics.median(Took(**each).rate for each in all_)
            found.setdefault(way, []).append((int(at), rate))
    return found
