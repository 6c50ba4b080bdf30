"""One way to ask, in a process of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from benchmarks import workers

if TYPE_CHECKING:
    import pytest


async def test_who_asked_is_waited_for_until_it_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done behind the answers counts, and slows down nobody who asks next."""
    cpu = iter([10.0, 11.0, 12.5, 12.5, 99.0])
    monkeypatch.setattr(workers, "QUIET", 0.0001)
    monkeypatch.setattr(time, "process_time", lambda: next(cpu))
    assert 2.5 == await workers.settled()
    assert 99.0 == time.process_time()
