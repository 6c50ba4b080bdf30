"""How long do commands take, beside what they cannot do without?

`tenantry check` on many tenants beside a process that only loads them, and `tenantry --help` beside
a program that is nothing but a click group. Whole processes, by turns; CPU time of each, so that a
busy machine disturbs less; the verdict is over the median of the ratios.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

CHECK, HELP = 1.5, 3.0
TENANTRY = [str(Path(sys.executable).with_name("tenantry"))]
LOADER = """\
import sys, os
from tenantry.opening import Opening
from tenantry.sources import kinds
Opening(sys.argv[1], os.environ, kinds()).read()
"""
CLICK = """\
import click
@click.group()
def program(): "A program."
@program.command()
def command(): "A command."
program(["--help"])
"""
CONFIGURATION = """\
sources: {vault: {address: "https://vault.example:8200", auth: {token_file: /run/token}}}
allow: {secrets: {vault: ["tenants/{tenant}"]}}
defaults: {api_key: {vault: "tenants/{tenant}"}, timeout: 30s}
tenants:
"""


def cpu(*command: str) -> float:
    """Return the CPU seconds of a process."""
    before = os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    return sum(after[2:4]) - sum(before[2:4])


def ratio(rounds: int, command: list[str], beside: list[str]) -> float:
    """Return how much longer one command takes than another."""
    return statistics.median(cpu(*command) / cpu(*beside) for _ in range(rounds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tenants", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7)
    said = parser.parse_args()
    python = [sys.executable, "-c"]
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "tenants.yaml")
        lines = (f"  t{number}: {{project: proj-{number}}}\n" for number in range(said.tenants))
        file.write_text(CONFIGURATION + "".join(lines))
        check = [*TENANTRY, "check", "--quiet", "--config", str(file)]
        checked = ratio(said.rounds, check, [*python, LOADER, str(file)])
    helped = ratio(said.rounds, [*TENANTRY, "--help"], [*python, CLICK])
    print(f"check of {said.tenants} tenants: {checked:.2f} of the loader (at most {CHECK})")
    print(f"--help: {helped:.2f} of a bare click program (at most {HELP})")
    sys.exit(checked > CHECK or helped > HELP)


if __name__ == "__main__":
    main()
