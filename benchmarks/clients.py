"""What do ten thousand built clients cost, and what is left of them once they are idle?

Each scenario runs in a process of its own: what is counted is what its resident memory grew by, and
how many blocks Python has allocated. Times are CPU times, told as a share of what the SDK's own
constructor takes for one client in the same process.

    make bench-clients
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import openai
from benchmarks.machine import ROOT
from benchmarks.ratios import Target
from benchmarks.server import serving

from tenantry import ClientRegistry

if TYPE_CHECKING:
    from collections.abc import Callable

TENANTS = 10_000
HOT = 100
FEW = 10
NAIVE = 30  # the SDK's own clients, for comparison
KIB_EACH = 12.0
SHARE = 0.01
BACK = 0.10
IDLE_AFTER = 1.0  # seconds
SETTLE = 1.0  # seconds
LIMIT = 60.0  # seconds after which what does not happen fails
EVICTED = {"evicted": 0.2, "evicted without a pause": 0.0}  # seconds between requests of a tenant
KINDS = {"sync": ("client",), "both": ("client", "async_client")}


# -- in a process of its own ----------------------------------------------------------------------


def kib() -> float:
    """Return the resident memory of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


def blocks() -> int:
    gc.collect()
    return sys.getallocatedblocks()


def opened(tenants: int, base_url: str) -> ClientRegistry:
    """Open a registry with a file, which is where ten thousand tenants stand."""
    text = [
        f"registry: {{idle_after: null, max_clients: {tenants}, warm: none}}\n",
        f"defaults: {{base_url: '{base_url}'}}\n",
        "tenants:\n",
        *(
            f"  tenant-{n:05}: {{api_key: {{env: KEY_{n}}}, organization: o-{n}}}\n"
            for n in range(tenants)
        ),
    ]
    with tempfile.TemporaryDirectory() as home:
        file = Path(home) / "tenants.yaml"
        file.write_text("".join(text))
        return ClientRegistry.open(file, environ={f"KEY_{n}": f"sk-{n}" for n in range(tenants)})


def seconds(call: Callable[[], object]) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


def build(registry: ClientRegistry, kinds: tuple[str, ...]) -> None:
    for name in registry.tenants:
        for kind in kinds:
            getattr(registry, kind)(name)


def naive() -> dict[str, float]:
    """Build the SDK's own clients, and keep them while they are counted."""
    openai.OpenAI(api_key="sk-naive")  # what only the first one costs
    before, clients = kib(), list[openai.OpenAI]()
    took = seconds(lambda: clients.extend(openai.OpenAI(api_key="sk-naive") for _ in range(NAIVE)))
    return {"seconds": took / NAIVE, "kib": (kib() - before) / NAIVE}


def built(tenants: int, kind: str) -> dict[str, float]:
    """Build clients of all tenants twice, beside the SDK's own."""
    beside = naive()
    with opened(FEW, "https://api.openai.com/v1") as registry:
        build(registry, KINDS[kind])  # what only the first ones cost
    # Counted at first: later there is memory that Python has kept, and clients would be for free.
    with opened(tenants, "https://api.openai.com/v1") as registry:
        before, blocks_before = kib(), blocks()
        took = seconds(lambda: build(registry, KINDS[kind])) / tenants
        found = {
            "kib": (kib() - before) / tenants,
            "blocks": (blocks() - blocks_before) / tenants,
            "seconds": took,
            "naive seconds": beside["seconds"],
            "naive kib": beside["kib"],
        }
    del registry
    # And without the garbage collector, which looks at all that the process holds.
    gc.disable()
    with opened(tenants, "https://api.openai.com/v1") as registry:
        return found | {"seconds alone": seconds(lambda: build(registry, KINDS[kind])) / tenants}


def evicted(tenants: int, pause: float) -> dict[str, float]:
    """Build all, and use a hundred until the others were evicted, with a pause in between."""
    names = [f"tenant-{number:05}" for number in range(HOT)]
    with serving() as service, opened(tenants, service.base_url) as registry:
        clients = registry._clients  # noqa: SLF001  # nobody else has to count them
        use(registry, names)
        found = noted("before")  # those in use are a part of it
        build(registry, ("client",))
        found |= noted("top")
        clients.idle_after = IDLE_AFTER  # as a reload would
        end = time.monotonic() + LIMIT
        while (left := len(clients.built())) > HOT:
            if time.monotonic() > end:
                message = f"{left} clients are left"
                raise TimeoutError(message)
            use(registry, names)
            time.sleep(pause)
        time.sleep(SETTLE)  # the last of them are being freed
        found |= noted("after")
        clients.idle_after = None
        build(registry, ("client",))
        return found | noted("again")


def noted(when: str) -> dict[str, float]:
    return {f"KiB {when}": kib(), f"blocks {when}": blocks()}


def use(registry: ClientRegistry, names: list[str]) -> None:
    for name in names:
        registry.client(name).chat.completions.create(
            model="gpt-benchmark", messages=[{"role": "user", "content": "hi"}]
        )


# -- all of it ------------------------------------------------------------------------------------


def measured(scenario: str, tenants: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.clients", "--only", scenario]
    command += ["--tenants", str(tenants)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def row(what: str, value: str, target: str = "", part: float = math.nan) -> None:
    """Print a line; `part` is how much of its target was used up."""
    verdict = "" if math.isnan(part) else Target(1).verdict(part, part)
    print(f"{what:44} {value:>14} {target:>12} {verdict:>8}")


def table(tenants: int) -> None:
    print(f"{tenants} tenants, openai {openai.__version__}, Python {sys.version.split()[0]}\n")
    print(f"{'':44} {'measured':>14} {'target':>12}")
    for kind in KINDS:
        tell_built(kind, measured(kind, tenants))
    for scenario in EVICTED:
        tell_evicted(scenario, measured(scenario, tenants))


def tell_built(kind: str, found: dict[str, float]) -> None:
    most, share = KIB_EACH * len(KINDS[kind]), SHARE * len(KINDS[kind])
    row(
        f"a tenant's clients, {kind}",
        f"{found['kib']:.1f} KiB",
        f"{most:g} KiB",
        found["kib"] / most,
    )
    row("  the SDK's own client", f"{found['naive kib']:.0f} KiB")
    row("  blocks that Python has allocated", f"{found['blocks']:.0f}")
    for what, key in (("", "seconds"), (", collector off", "seconds alone")):
        part = found[key] / found["naive seconds"]
        row(f"building, of the SDK's own{what}", f"{part:.2%}", f"{share:.0%}", part / share)
        row("  a tenant's clients", f"{found[key] * 1e6:.0f} us")
    print()


def tell_evicted(scenario: str, found: dict[str, float]) -> None:
    """Blocks are what is held. Resident memory lags: Python gives an arena back when all of it is
    free, and what is sent while thousands are freed leaves a little in many. It is used again,
    which building all once more shows. The verdict is on a hundred that ask about 300 times a
    second; without any pause one core does nothing but send meanwhile."""
    judged = scenario == "evicted"
    print(f"{scenario}: {HOT} tenants ask, {EVICTED[scenario]:g} s after their last answer")
    for unit in ("blocks", "KiB"):
        before, top, after, again = (
            found[f"{unit} {when}"] for when in ("before", "top", "after", "again")
        )
        row(f"{HOT} in use, {unit}", f"{before:.0f}")
        row(f"all built, {unit}", f"{top:.0f}")
        left, more = after / before - 1, again / top - 1
        target = f"{BACK:+.0%}" if judged else ""
        row(
            f"all but {HOT} evicted, {unit}",
            f"{left:+.1%}",
            target,
            left / BACK if judged else math.nan,
        )
        row(f"all built again, {unit}", f"{more:+.1%}", f"{BACK:+.0%}", more / BACK)
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=TENANTS)
    parser.add_argument("--only", choices=[*KINDS, *EVICTED], help="one, as JSON")
    said = parser.parse_args()
    if said.only is None:
        table(said.tenants)
    else:
        pause = EVICTED.get(said.only)
        found = built(said.tenants, said.only) if pause is None else evicted(said.tenants, pause)
        print(json.dumps(found))


if __name__ == "__main__":
    main()
