"""On what was measured: the machine, and the versions of what ran on it."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]  # where processes of our own are started
LIBRARIES = ("tenantry", "openai", "httpx2", "httpx", "httpcore", "aiohttp", "pydantic")


def cores() -> list[int]:
    return sorted(os.sched_getaffinity(0))


def described() -> dict[str, str]:
    """Return what a reader has to know to believe the numbers."""
    return {
        "processor": f"{_processor()}, {len(cores())} cores",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        **versions(LIBRARIES),
    }


def versions(names: tuple[str, ...]) -> dict[str, str]:
    """Return the versions of those that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
