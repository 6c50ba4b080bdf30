"""Live processes are asked; those that say nothing are told of on standard error."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import click
import pytest

from tenantry import ClientRegistry
from tenantry.cli import attach, exits
from tenantry.cli.terminal import Terminal
from tenantry.control import Answers
from tenantry.control.directory import socket_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

OTHER = 7  # see `live`


def tenants(names: list[str]) -> dict[str, Any]:
    return {"tenants": {name: {"api_key": {"env": "KEY"}} for name in names}}


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
    """With a problem; a directory that nobody made, or that lets others in, is a wrong option."""
    tmp_path.chmod(0o700)
    with pytest.raises(SystemExit) as caught:
        attach.ask(Terminal(), tmp_path, "tenants")
    assert exits.PROBLEMS == caught.value.code
    assert f"tenantry: no live process answers in {tmp_path}\n" == capfd.readouterr().err
    with pytest.raises(click.BadParameter, match="cannot be read: No such file or directory\n"):
        attach.ask(Terminal(), tmp_path / "nowhere", "tenants")
    tmp_path.chmod(0o755)
    with pytest.raises(click.BadParameter, match="lets others in\nname one"):
        attach.ask(Terminal(), tmp_path, "tenants")


def test_pages_are_asked_for_until_there_are_none(
    live: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each process tells of each of its tenants once, however they are spread over pages."""
    monkeypatch.setattr("tenantry.control.verbs.PAGE", 2)
    names = ["a", "b", "c", "d", "e"], ["b", "x", "y"]
    told = attach.ask_pages(Terminal(), live(*map(tenants, names)), "list")
    found = {pid: [each["name"] for each in statuses] for pid, statuses in told.items()}
    assert {os.getpid(): names[0], OTHER: names[1]} == found


def test_what_is_refused_is_told(
    live: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    """Where one process answers that is shown; where none does the command ends."""
    directory = live(tenants(["acme"]), tenants(["globex"]))
    some = attach.ask(Terminal(), directory, "status", tenant="acme")
    attach.refuse(Terminal(), some)
    assert (exits.USAGE, [os.getpid()]) == (attach.code(some), list(some.given))
    assert "tenantry: pid 7: unknown tenant 'acme'" in capfd.readouterr().err
    with pytest.raises(SystemExit) as caught:
        attach.refuse(Terminal(), attach.ask(Terminal(), directory, "status", tenant="nobody"))
    assert exits.USAGE == caught.value.code


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("UnknownTenantError", exits.USAGE),
        ("TenantQuarantinedError", exits.CONFIGURATION),
        ("CredentialUnavailableError", exits.UPSTREAM),
    ],
)
def test_what_is_refused_has_an_exit_code(kind: str, code: int) -> None:
    """The one that the same error of this process has; silence has one, too."""
    assert code == attach.code(Answers(refused={1: (kind, "")}))
    assert exits.UPSTREAM == attach.code(Answers(silent={1: "no"}))
    assert exits.OK == attach.code(Answers(given={1: []}))


def test_differences_are_not_hidden() -> None:
    """What all processes tell has no cell where nobody differs, and says so where somebody does."""
    same = attach.united({2: ["a", "b"], 1: ["a", "b"]})
    assert {"a": [1, 2], "b": [1, 2]} == same
    assert [(), ()] == attach.of_whom(same, [1, 2])
    other = attach.united({1: ["a", "b"], 2: ["a", "c"], 3: ["a", "c"]})
    assert [("all",), ("1",), ("2, 3",)] == attach.of_whom(other, [1, 2, 3])


def test_what_needs_live_processes_says_so(tmp_path: Path) -> None:
    """It says what to write."""
    assert tmp_path == attach.needed(tmp_path, "pin")
    with pytest.raises(click.UsageError, match="`keys pin` acts on live processes only"):
        attach.needed(None, "pin")
