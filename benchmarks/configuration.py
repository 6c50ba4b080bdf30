"""How long does a configuration of many tenants take, from text to validated settings?

Two ways through the same file, in the same process, by turns: PyYAML's C loader, which returns bare
dictionaries, and `load`, which returns every tenant merged, validated and with the place of every
value. Time is CPU time, so that a busy machine disturbs less; the verdict is over the ratios of
rounds, not over times.

The garbage collector takes most of the C loader's time, and `load` pauses it. So the ratio is told
twice: as anybody calls the two, and with the collector off for both.

    make bench-configuration
"""

from __future__ import annotations

import argparse
import gc
import random
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from benchmarks.machine import ROOT
from benchmarks.ratios import Ratio, Target
from benchmarks.rounds import by_turns, spread

from tenantry.loading import load
from tenantry.sources import kinds

if TYPE_CHECKING:
    from collections.abc import Callable

TARGET = Target(0.6)
SHARED = """\
sources:
  vault:
    address: https://vault.example:8200
    auth: {kubernetes: {role: tenantry}}
allow:
  origins: ["https://api.openai.com", "https://*.openai.azure.com", "https://*.gateway.example"]
  secrets: {vault: ["tenants/{tenant}", "teams/*"], env: ["KEY_*"]}
defaults:
  timeout: {connect: 5s, read: 10m}
  max_retries: 2
  api_key: {vault: "tenants/{tenant}"}
profiles:
  azure-eu:
    provider: azure
    azure_endpoint: https://contoso-eu.openai.azure.com
    api_version: "2024-10-21"
  azure-us: {profile: azure-eu, azure_endpoint: "https://contoso-us.openai.azure.com"}
  batch: {timeout: {read: 1h}, max_retries: 5}
tenants:
"""
# Fifteen lines each, the name included; tenants differ in where they go, and in every value.
PLACES = {
    "openai": ["base_url: https://t{n}.gateway.example/v1", "max_retries: {few}"],
    "azure": ["profile: {azure}", "azure_deployment: gpt-{n}"],
    "batch": ["profile: batch", "base_url: https://b{n}.gateway.example/v1"],
}
COMMON = [
    "organization: org-{word}",
    "project: proj_{word}",
    "enabled: {enabled}",
    "labels:",
    "  plan: {plan}",
    "  region: {region}",
    "  cost_center: '{n}'",
    "timeout:",
    "  connect: {few}s",
    "  read: {read}",
    "default_headers: {{X-Team: team-{n}, X-Region: {region}}}",
]
SECRETS = [
    "api_key: {{vault: {{path: 'teams/{word}', field: key}}}}",
    "api_key: {{env: KEY_{n}}}",
    "webhook_secret: {{vault: 'tenants/{{tenant}}'}}",
]


def written(tenants: int) -> str:
    """Return a configuration as its operators would write it."""
    chance = random.Random(1)
    return SHARED + "".join(_tenant(number, chance) for number in range(tenants))


def _tenant(number: int, chance: random.Random) -> str:
    facts = {
        "n": number,
        "word": f"{chance.getrandbits(64):016x}",
        "plan": chance.choice(["free", "team", "business"]),
        "region": chance.choice(["eu", "us", "ap"]),
        "azure": chance.choice(["azure-eu", "azure-us"]),
        "enabled": chance.choice(["true", "true", "false"]),
        "few": chance.randrange(1, 9),
        "read": chance.choice(["30", "90s", "5m", "600.5"]),
    }
    lines = [*PLACES[chance.choice(list(PLACES))], *COMMON, chance.choice(SECRETS)]
    body = "".join(f"    {line.format(**facts)}\n" for line in lines)
    return f"  customer-{number:05}:\n{body}"


def bare(file: Path) -> object:
    return yaml.load(file.read_text(), yaml.CSafeLoader)


def whole(file: Path) -> object:
    configuration = load(file, environ={}, kinds=kinds())
    assert not configuration.quarantined
    return configuration


WAYS: dict[str, Callable[[Path], object]] = {"bare": bare, "whole": whole}


def seconds(way: Callable[[Path], object], file: Path) -> float:
    gc.collect()
    began = time.process_time()
    result = way(file)
    _provoke_collection()
    took = time.process_time() - began
    del result
    return took


def _provoke_collection() -> None:
    """Whoever put a collection off pays for it here."""
    made: list[list[int]] = []
    made.extend([] for _ in range(gc.get_threshold()[0] + 1))


def peak_growth(way: str, file: Path) -> float:
    """Return by how many MiB one load grows the memory of a process of its own, at its peak."""
    command = [sys.executable, "-m", "benchmarks.configuration", "--grow", way, "--file", str(file)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return float(done.stdout)


def _print_growth(way: str, file: Path) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as little:
        little.write(written(10))
        little.flush()
        WAYS[way](Path(little.name))  # what is imported and compiled once is not what is asked
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = WAYS[way](file)
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
    del result


def compare(rounds: int, file: Path) -> dict[str, list[float]]:
    return by_turns({name: partial(seconds, way, file) for name, way in WAYS.items()}, rounds)


def tell(times: dict[str, list[float]], growth: dict[str, float]) -> Ratio:
    """Print both ways' times and their ratio, and return it."""
    for name, title in (("bare", "yaml.load(CSafeLoader)"), ("whole", "tenantry.loading.load")):
        print(f"  {title:24}{spread(times[name], '.3f', ' s'):28}  +{growth[name]:.0f} MiB")
    ratio = Ratio.of(times["whole"], times["bare"])
    print(f"  ratio {ratio}\n")
    return ratio


def report(tenants: int, rounds: int, file: Path) -> None:
    text = written(tenants)
    file.write_text(text)
    growth = {name: peak_growth(name, file) for name in WAYS}
    print(f"{tenants} tenants, {text.count(chr(10))} lines, {rounds} rounds by turns\n")
    print("as anybody calls them")
    ratio = tell(compare(rounds, file), growth)
    gc.disable()
    print("with the garbage collector off for both")
    tell(compare(rounds, file), growth)
    verdict = TARGET.verdict(*ratio.interval)
    print(f"target: a ratio of {TARGET}, as anybody calls them: {verdict}")


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--tenants", type=int, default=10_000)
    arguments.add_argument("--rounds", type=int, default=9)
    arguments.add_argument("--grow", choices=WAYS)
    arguments.add_argument("--file", type=Path)
    asked = arguments.parse_args()
    if asked.grow:
        _print_growth(asked.grow, asked.file)
        return
    with tempfile.TemporaryDirectory() as directory:
        report(asked.tenants, asked.rounds, Path(directory) / "tenantry.yaml")


if __name__ == "__main__":
    main()
