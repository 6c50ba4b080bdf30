"""A clock that stands still until a test moves it."""

from __future__ import annotations


class ManualClock:
    """Epoch in seconds, for servers that take a `clock`; moved by `advance`, from any thread."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
