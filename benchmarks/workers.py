"""One way to ask, in a process of its own that lives through all rounds and asks when it is told.

python -m benchmarks.workers 'bare SDK' http://127.0.0.1:8080/v1
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from benchmarks.loads import WAYS
from benchmarks.machine import ROOT
from benchmarks.rounds import Took, ataken

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.loads import Ask


QUIET, LOOKS = 0.1, 300  # seconds, and how often


class Worker:
    """A process that asks; only one of them does at a time."""

    def __init__(self, way: str, base_url: str, python: str | Path = sys.executable) -> None:
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.workers", way, base_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def ask(self, requests: int, concurrent: int) -> Took:
        """Have so many requests sent, so many of them at once."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{requests} {concurrent}\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return Took(**found)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


async def at_once(ask: Ask, requests: int, concurrent: int) -> None:
    """Ask so often, with so many tasks that ask again as soon as they were answered."""
    left = iter(range(requests))

    async def go_on() -> None:
        for _ in left:
            await ask()

    await asyncio.gather(*(go_on() for _ in range(concurrent)))


async def settled() -> float:
    """Wait until what a way does behind its answers is done; return its CPU time, in seconds.

    It is a part of what the answers cost, and would slow down whoever asks next.
    """
    began = before = time.process_time()
    for _ in range(LOOKS):
        await asyncio.sleep(QUIET)
        now = time.process_time()
        if now - before < QUIET / 20:
            break
        before = now
    return before - began


async def work(way: str, base_url: str) -> None:
    async with WAYS[way](base_url) as ask:
        while line := await asyncio.to_thread(sys.stdin.readline):
            requests, concurrent = map(int, line.split())
            took = await ataken(partial(at_once, ask, requests, concurrent))
            cpu = took.cpu + await settled()
            print(json.dumps(Took(cpu, took.wall, requests).as_dict()), flush=True)


if __name__ == "__main__":
    asyncio.run(work(*sys.argv[1:]))
