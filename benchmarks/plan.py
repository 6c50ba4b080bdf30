"""How much is measured: little enough for every day, or enough to publish."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.machine import ROOT

LITELLM = ROOT / ".venv-litellm/bin/python"  # its own environment: it pins what we do not


@dataclass(frozen=True, slots=True)
class Plan:
    """How many rounds, and of what.

    Of nine rounds the interval leaves out the first and the last; of fewer it leaves out none.
    """

    rounds: int = 9
    turns: int = 61  # rounds of what is quick
    calls: int = 2_000  # of what takes nanoseconds
    requests: int = 25  # one after the other
    per_round: int = 800  # requests at 500 at once; less at fewer
    rotating: int = 1_500  # requests, during ten rotations
    built: int = 1_000  # clients whose memory is counted
    spread: int = 10_000  # requests over a thousand of ten thousand tenants
    beside_litellm: bool = False  # which takes longer than all others together


SHORT = Plan()
FULL = Plan(
    rounds=21,
    turns=401,
    per_round=2_000,
    rotating=6_000,
    built=5_000,
    spread=100_000,
    beside_litellm=True,
)
