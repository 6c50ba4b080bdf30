"""The demo from beginning to end: traffic, and rotations in the midst of it."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

from tenantry.cli.demo.estate import Estate
from tenantry.cli.demo.screens import screen
from tenantry.cli.demo.tally import Tally, tally
from tenantry.cli.demo.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenantry.cli.terminal import Terminal

FRAME = 0.25  # seconds between two pictures
ROTATE_EVERY = 0.5  # seconds


def run(terminal: Terminal, *, seconds: float, tenants: int) -> bool:
    """Run the demo for `seconds` with that many tenants; return whether no request failed."""
    with screen(terminal) as shown:
        result = _watched(seconds, tenants, shown.show)
        shown.finish(result)
    return result.passed


def _watched(seconds: float, tenants: int, show: Callable[[Tally], None]) -> Tally:
    rotations = 0
    with Estate(tenants) as estate:
        turns = itertools.cycle(estate.rotating())
        with Traffic(estate) as traffic:
            began = time.monotonic()
            while (elapsed := time.monotonic() - began) < seconds:
                if elapsed > (rotations + 1) * ROTATE_EVERY:
                    estate.rotate(next(turns))
                    rotations += 1
                show(tally(estate, traffic, elapsed, rotations))
                time.sleep(FRAME)
        return tally(estate, traffic, time.monotonic() - began, rotations)
