"""Live processes are asked; those that say nothing are told of on standard error."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest

from tenantry import ClientRegistry
from tenantry.cli import attach, exits
from tenantry.cli.terminal import Terminal
from tenantry.control.directory import socket_of

if TYPE_CHECKING:
    from pathlib import Path


def test_the_dead_and_the_silent_are_told_of(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Apart from what the others answer."""
    directory, dead = tmp_path / "c", subprocess.Popen([sys.executable, "-c", ""])
    dead.wait(60)
    with ClientRegistry.open({"tenants": {"acme": {"api_key": {"env": "KEY"}}}}) as registry:
        registry.serve_control(directory)
        for pid in (dead.pid, 1):
            with socket.socket(socket.AF_UNIX) as left:
                left.bind(str(socket_of(directory, pid)))
        found = attach.ask(Terminal(), directory, "tenants")
    assert {os.getpid(): ["acme"]} == found.given
    told = capfd.readouterr()
    assert "" == told.out
    assert {
        f"pid {dead.pid} is gone; its socket was removed",
        "tenantry: pid 1 does not answer: it does not listen",
    } == set(told.err.splitlines())


def test_without_anybody_it_ends(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """With a problem, and in a directory that nobody made with a wrong configuration."""
    tmp_path.chmod(0o700)
    with pytest.raises(SystemExit) as caught:
        attach.ask(Terminal(), tmp_path, "tenants")
    assert exits.PROBLEMS == caught.value.code
    assert f"tenantry: no live process answers in {tmp_path}\n" == capfd.readouterr().err


def test_what_needs_live_processes_says_so(tmp_path: Path) -> None:
    """It says what to write."""
    assert tmp_path == attach.needed(tmp_path, "pin")
    with pytest.raises(click.UsageError, match="`keys pin` acts on live processes only"):
        attach.needed(None, "pin")
