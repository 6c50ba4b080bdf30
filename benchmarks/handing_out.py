"""What does it take to be handed a client, or a secret?"""

from __future__ import annotations

import statistics
import timeit
from typing import TYPE_CHECKING, Any

import openai
from benchmarks.loads import KEY, MODEL, TENANT, opened
from benchmarks.ratios import Ratio, Target
from benchmarks.report import Row, Topic
from benchmarks.rounds import by_turns, spread, taken

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.plan import Plan
    from benchmarks.rounds import Took

    from tenantry import ClientRegistry

NAIVE = 5  # clients of the SDK's own in a round
COLD = 100  # tenants
ADDRESS = "https://api.openai.com/v1"

LOOKUP = "a dict lookup"
CLIENT = "registry.client(name)"
ASYNC_CLIENT = "registry.async_client(name)"
CLONE = "registry.client(name, timeout=5)"
WITH_OPTIONS = "client.with_options(timeout=5)"
GET = "credential.get(), fresh"
METHOD = "a method that returns an attribute"
FIRST = "the first client of a tenant"
NAIVE_CLIENT = "openai.OpenAI()"
STATEMENTS = {
    LOOKUP: "clients[name]",
    CLIENT: "registry.client(name)",
    ASYNC_CLIENT: "registry.async_client(name)",
    CLONE: "registry.client(name, timeout=5)",
    WITH_OPTIONS: "bare.with_options(timeout=5)",
    GET: "credential.get()",
    METHOD: "holder.get()",
}
SLOW = {CLONE: 100, WITH_OPTIONS: 100}  # how many times fewer calls are enough


class Holder:
    """What a credential would be if secrets did not change."""

    def __init__(self, value: str) -> None:
        self.value = value

    def get(self) -> str:
        return self.value


def measure(plan: Plan) -> Topic:
    with opened(ADDRESS, "httpx") as registry, openai.OpenAI(api_key=KEY) as bare:
        calls = by_turns(_calls(registry, bare, plan.calls), plan.turns)
    first = by_turns({FIRST: _first, NAIVE_CLIENT: _naive}, plan.rounds)
    times = calls | {name: [took.cpu_each for took in all_] for name, all_ in first.items()}
    return Topic(
        "Handing out clients",
        "what a call takes, in microseconds",
        [
            row(times, CLIENT, LOOKUP, Target(6)),
            row(times, ASYNC_CLIENT, LOOKUP, Target(6)),
            row(times, CLONE, WITH_OPTIONS, Target(1 / 20)),
            row(times, GET, METHOD, Target(3)),
            row(times, FIRST, NAIVE_CLIENT, Target(0.01)),
        ],
        ("call", "median (least .. most)"),
        [(name, spread([1e6 * each for each in found], ".3g")) for name, found in times.items()],
        times,
    )


def row(times: dict[str, list[float]], what: str, beside: str, target: Target) -> Row:
    return Row(what, beside, Ratio.of(times[what], times[beside]), target)


def _calls(
    registry: ClientRegistry, bare: openai.OpenAI, times: int
) -> dict[str, Callable[[], float]]:
    name = TENANT
    credential = next(iter(registry._documents(name)))  # noqa: SLF001  # nobody else reads one
    credential.get()
    names: dict[str, Any] = {
        "registry": registry,
        "name": name,
        "bare": bare,
        "credential": credential,
        "clients": {f"tenant-{n}": n for n in range(1_000)},
        "holder": Holder(MODEL),
    }
    return {
        what: _seconds(timeit.Timer(statement, globals=names), times // SLOW.get(what, 1))
        for what, statement in STATEMENTS.items()
    }


def _seconds(timer: timeit.Timer, times: int) -> Callable[[], float]:
    return lambda: statistics.median(timer.repeat(5, times)) / times


def _first() -> Took:
    """Build the first client of each of some tenants."""
    with opened(ADDRESS, "httpx", COLD) as registry:
        names = iter(registry.tenants)
        return taken(lambda: registry.client(next(names)), COLD)


def _naive() -> Took:
    clients: list[openai.OpenAI] = []
    took = taken(lambda: clients.append(openai.OpenAI(api_key=KEY)), NAIVE)
    for client in clients:
        client.close()
    return took
