"""Whose is the time of a request, function by function, of ours and of the bare SDK?

Some hundred times a second of CPU time the stack is looked at: as often as the kernel
lets it. A function's time is that of all
looks that saw it, what it called included; `alone` is that of looks that saw it on top.

    python -m benchmarks.profile --requests 3000
"""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import openai
from benchmarks.asking import async_ways, frozen, sync_ways
from benchmarks.loads import opened
from benchmarks.report import aligned
from benchmarks.rounds import Took, ataken, taken
from benchmarks.server import serving

if TYPE_CHECKING:
    from types import CodeType, FrameType

    from benchmarks.server import Served

EVERY = 0.001  # seconds of CPU time; kernels make it 0.004
LEAST = 1.5  # microseconds a request: less than that is not told
PACKAGES = ("tenantry", "openai", "httpx2", "httpcore2", "httpx", "httpcore", "aiohttp")


@dataclass
class Looks:
    """What was on the stack, and on top of it, how often."""

    within: Counter[CodeType] = field(default_factory=Counter)
    alone: Counter[CodeType] = field(default_factory=Counter)

    def look(self, _: int, frame: FrameType | None) -> None:
        seen = set()
        if frame is not None:
            self.alone[frame.f_code] += 1
        while frame is not None:
            seen.add(frame.f_code)
            frame = frame.f_back
        self.within.update(seen)

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGPROF, self.look)
        signal.setitimer(signal.ITIMER_PROF, EVERY, EVERY)
        return self

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, self._before)


def tell(what: str, looks: Looks, took: Took, package: str) -> None:
    """Print what each function of a package took, in microseconds a request."""
    each = took.cpu_each * 1e6 / max(1, looks.alone.total())
    lines = [
        (f"{within * each:.1f}", f"{looks.alone[code] * each:.1f}", _name(code))
        for code, within in looks.within.most_common()
        if package in _name(code) and within * each >= LEAST
    ]
    print(f"{what}: {took.cpu_each * 1e6:.0f} us a request; of {package}\n")
    print(aligned([("us", "alone", "function"), *lines]))


def _name(code: CodeType) -> str:
    place = code.co_filename.rpartition("/site-packages/")[2].rpartition("/src/")[2]
    return f"{place}:{code.co_firstlineno} {code.co_qualname}"


def shares(looks: Looks, took: Took) -> list[tuple[str, str]]:
    """Return the time on top of the stack by package."""
    each, found = took.cpu_each * 1e6 / max(1, looks.alone.total()), Counter[str]()
    for code, count in looks.alone.items():
        name = _name(code)
        found[next((each for each in PACKAGES if name.startswith(each + "/")), "others")] += count
    return [(package, f"{count * each:.0f}") for package, count in found.most_common()]


def sync(served: Served, requests: int) -> None:
    with sync_ways(served) as ways, frozen():
        for whose, ask in ways.items():
            taken(ask, 20)
            with Looks() as looks:
                took = taken(ask, requests)
            told(f"{whose}, sync on httpx", looks, took)


async def asynchronous(served: Served, requests: int, library: str) -> None:
    http = (
        openai.DefaultAioHttpClient() if library == "aiohttp" else openai.DefaultAsyncHttpxClient()
    )
    async with (
        openai.AsyncOpenAI(api_key="sk", base_url=served.base_url, http_client=http) as bare,
        opened(served.base_url, library) as registry,
    ):
        with frozen():
            for whose, ask in async_ways(bare, registry).items():
                await ataken(ask, 20)
                with Looks() as looks:
                    took = await ataken(ask, requests)
                told(f"{whose}, async on {library}", looks, took)


def told(what: str, looks: Looks, took: Took) -> None:
    tell(what, looks, took, "tenantry/")
    print(aligned([("package", "us alone"), *shares(looks, took)]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("--requests", type=int, default=2_000)
    requests = parser.parse_args().requests
    with serving() as served:
        sync(served, requests)
        for library in ("httpx", "aiohttp"):
            asyncio.run(asynchronous(served, requests, library))


if __name__ == "__main__":
    main()
