"""What does tenantry take from a process that only starts, and from its memory?"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from benchmarks.clients import measured
from benchmarks.ratios import Ratio, Target
from benchmarks.report import Row, Topic
from benchmarks.rounds import by_turns, spread

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.plan import Plan

OURS, SDK = "import tenantry", "import openai"
KIB, SDK_KIB = "a tenant's client, KiB", "openai.OpenAI(), KiB"
TIMED = "import time; began = time.process_time(); {}; print(time.process_time() - began)"
MEMORY_ROUNDS = 6  # each is a process that builds all; fewer would decide nothing


def measure(plan: Plan) -> Topic:
    imports = by_turns({what: _importing(what) for what in (SDK, OURS)}, plan.rounds)
    memory = [measured("sync", plan.built) for _ in range(MEMORY_ROUNDS)]
    kib = {KIB: [each["kib"] for each in memory], SDK_KIB: [each["naive kib"] for each in memory]}
    figures = [
        (what, spread([1e3 * each for each in took]) + " ms") for what, took in imports.items()
    ]
    figures += [(what, spread(each)) for what, each in kib.items()]
    return Topic(
        "Starting, and memory",
        "CPU time of an import, and resident memory of a built client, in fresh processes",
        [
            Row(OURS, SDK, Ratio.of(imports[OURS], imports[SDK]), Target(0.03)),
            Row(
                "memory of a built tenant",
                "openai.OpenAI()",
                Ratio.of(*kib.values()),
                Target(0.015),
            ),
        ],
        ("what", "median (least .. most)"),
        figures,
        imports | kib,
    )


def _importing(statement: str) -> Callable[[], float]:
    command = [sys.executable, "-c", TIMED.format(statement)]
    return lambda: float(subprocess.run(command, check=True, capture_output=True).stdout)
