"""A process that uses tenants of a large catalog, and measures itself.

It imports nothing of the database before it opens the registry, as a service would not.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenantry import ClientRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

CACHE, BUILT = 1_000, 500  # tenants in memory, and clients
PAGE = os.sysconf("SC_PAGE_SIZE")


def resident() -> float:
    """Return the memory of this process, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 1e6


def opened(dsn: str, **registry: Any) -> ClientRegistry:
    config = {
        "catalog": {"postgres": {"dsn": {"env": "DSN"}, "cache": CACHE}},
        "registry": registry,
        "allow": {},
        "defaults": {"api_key": {"env": "KEY"}},
    }
    return ClientRegistry.open(config, environ={"DSN": dsn, "KEY": "sk-made-up"})


def spread_names(wanted: int, count: int) -> Iterator[str]:
    """Return names from all over the table."""
    return (f"t{number * (count // wanted):07}" for number in range(wanted))


def first_uses(dsn: str, wanted: int, count: int) -> dict[str, float]:
    """Open, and use tenants of which nothing is known, each once."""
    before, began = resident(), time.perf_counter()
    each: list[float] = []
    with opened(dsn) as registry:
        took = {"open s": time.perf_counter() - began}
        while not registry.catalog.revision:  # who is used before the first look is read again
            time.sleep(0.01)
        took["open MB"] = resident() - before
        for name in spread_names(wanted, count):
            began = time.perf_counter()
            registry.client(name)
            each.append(1e3 * (time.perf_counter() - began))
    return took | {
        "cold ms": statistics.median(each),
        "cold p99 ms": sorted(each)[-1 - wanted // 100],
    }


def walk(dsn: str, wanted: int, count: int) -> dict[str, list[float]]:
    """Use many tenants, of which few are kept; returns the growth of memory at each quarter."""
    before, grown = resident(), list[float]()
    with opened(dsn, max_clients=BUILT) as registry:
        for number, name in enumerate(spread_names(wanted, count), 1):
            registry.client(name)
            if number % (wanted // 4) == 0:
                grown.append(resident() - before)
    return {"MB at each quarter": grown}


def main() -> None:
    what, dsn, wanted, count = sys.argv[1:]
    work = {"first_uses": first_uses, "walk": walk}[what]
    print(json.dumps(work(dsn, int(wanted), int(count))))


if __name__ == "__main__":
    main()
