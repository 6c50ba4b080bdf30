"""Is tenantry as fast as it promises, beside what a user would take instead?

Prints every target with its verdict, and leaves a page, its numbers and a picture in
build/performance; with `--write` in docs, where they are read.

    make bench
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import json
import subprocess
import time
from typing import TYPE_CHECKING

from benchmarks.plan import FULL, LITELLM, SHORT
from benchmarks.server import serving

from benchmarks import (
    asking,
    handing_out,
    machine,
    plot,
    report,
    rotating,
    spreading,
    starting,
    throughput,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.plan import Plan
    from benchmarks.report import Topic
    from benchmarks.server import Served

# Without a server first: nothing else runs beside them.
TOPICS: dict[str, Callable[[Plan, Served], Topic]] = {
    "handing_out": lambda plan, _: handing_out.measure(plan),
    "starting": lambda plan, _: starting.measure(plan),
    "asking": asking.measure,
    "throughput": throughput.measure,
    "rotating": rotating.measure,
    "spreading": spreading.measure,
}
HERE, DOCS = machine.ROOT / "build" / "performance", machine.ROOT / "docs"
AXES = ("requests at once", "requests/s")


def main() -> None:
    said = arguments()
    plan, began = FULL if said.full else SHORT, time.monotonic()
    plan = dataclasses.replace(plan, rounds=said.rounds or plan.rounds)
    facts, topics = machine.described() | litellm(plan), []
    with serving() as served:
        for name in said.only or TOPICS:
            topics.append(TOPICS[name](plan, served))
            print(report.told(topics[-1:]), flush=True)
    rows = [row for topic in topics for row in topic.rows]
    print(f"{report.counted(rows)} It took {time.monotonic() - began:.0f} s.")
    facts["measured"] = dt.datetime.now(dt.UTC).date().isoformat()
    write(DOCS if said.write else HERE, topics, facts, command(said))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--full", action="store_true", help="more rounds, and more requests in each"
    )
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    parser.add_argument("--rounds", type=int, help="so many; of fewer than six no verdict comes")
    parser.add_argument("--only", action="append", choices=TOPICS, help="a topic; all unless said")
    said = parser.parse_args()
    if said.write and said.only:
        parser.error("what is written for readers is the whole of one run")
    return said


def command(said: argparse.Namespace) -> str:
    """Return what makes a page like this one."""
    rounds = f" --rounds {said.rounds}" if said.rounds else ""
    return f"make {'bench-full' if said.full else 'bench'} BENCH_ARGS='--write{rounds}'"


def litellm(plan: Plan) -> dict[str, str]:
    if not (plan.beside_litellm and LITELLM.exists()):
        return {}
    code = "from importlib.metadata import version; print(version('litellm'))"
    done = subprocess.run([LITELLM, "-c", code], check=True, capture_output=True, text=True)
    return {"litellm": done.stdout.strip()}


def write(where: Path, topics: Sequence[Topic], facts: dict[str, str], made_by: str) -> None:
    where.mkdir(parents=True, exist_ok=True)
    found = {"machine": facts, "topics": [topic.as_dict() for topic in topics]}
    (where / "performance.json").write_text(json.dumps(found, indent=1) + "\n")
    (where / "performance.md").write_text(report.page(topics, facts, made_by))
    for topic in topics:
        if topic.title == throughput.TITLE:
            lines = throughput.lines(topic)
            (where / "performance.svg").write_text(
                plot.drawn("Chat completions, async", lines, *AXES)
            )
    print(f"See {(where / 'performance.md').relative_to(machine.ROOT)}.")


if __name__ == "__main__":
    main()
