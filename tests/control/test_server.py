"""A running process answers its own user, at a socket of its own, and never says a secret."""

from __future__ import annotations

import gc
import json
import logging
import os
import signal
import socket
import stat
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from tests.forking import forked, in_child

from tenantry import ClientRegistry, RegistryClosedError
from tenantry.control import ask_all
from tenantry.control.directory import owned, socket_of
from tenantry.control.server import AT_ONCE, ControlServer
from tenantry.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLANTED = "sk-planted-0123456789"
LIMIT = 10.0  # seconds after which a test that hangs fails
CONFIG: dict[str, Any] = {"tenants": {"acme": {"api_key": SecretStr(PLANTED)}}}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "c"


@pytest.fixture
def registry(directory: Path) -> Iterator[ClientRegistry]:
    with ClientRegistry.open(CONFIG, environ={}) as opened:
        opened.serve_control(directory)
        yield opened


def test_a_process_answers_at_its_own_socket(registry: ClientRegistry, directory: Path) -> None:
    """Only its user may open it."""
    path = socket_of(directory, os.getpid())
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)
    assert {os.getpid(): ["acme"]} == ask_all(directory, {"verb": "tenants"}).given


def test_the_configuration_may_say_where(directory: Path) -> None:
    """As soon as the registry is open, and until it is closed."""
    with ClientRegistry.open({"registry": {"control": str(directory)}, **CONFIG}, environ={}):
        assert {os.getpid(): ["acme"]} == ask_all(directory, {"verb": "tenants"}).given
    assert [] == list(directory.iterdir())


def test_a_directory_of_others_stops_the_opening(directory: Path) -> None:
    """And nothing is left open."""
    owned(directory).chmod(0o755)
    with pytest.raises(ConfigError, match="lets others in"):
        ClientRegistry.open({"registry": {"control": str(directory)}, **CONFIG}, environ={})


def test_a_socket_that_cannot_be_made_is_told(directory: Path) -> None:
    """With what keeps it from being made; the registry is closed."""
    socket_of(owned(directory), os.getpid()).mkdir()
    with pytest.raises(ConfigError, match="cannot have a socket: "):
        ClientRegistry.open({"registry": {"control": str(directory)}, **CONFIG}, environ={})


def test_it_ends_when_it_is_told_to(registry: ClientRegistry, directory: Path) -> None:
    """The socket is gone, and its thread; a closed registry makes none."""
    other = directory.with_name("d")
    stop = registry.serve_control(other)
    stop()
    stop()
    assert [] == list(other.iterdir())
    registry.close()
    with pytest.raises(RegistryClosedError):
        registry.serve_control(directory)
    deadline = time.monotonic() + LIMIT
    while "tenantry-control" in {thread.name for thread in threading.enumerate()}:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_registry_that_is_dropped_takes_it_along(directory: Path) -> None:
    """A thread that answers does not keep a registry alive."""
    registry = ClientRegistry.open(CONFIG, environ={})
    registry.serve_control(directory)
    del registry
    gc.collect()
    assert [] == list(directory.iterdir())


def test_errors_are_answers(registry: ClientRegistry, directory: Path) -> None:
    """Their class and their words; of those that are not ours the class alone."""
    pid = os.getpid()
    unknown = ask_all(directory, {"verb": "refresh", "tenant": "nobody"}).refused
    assert {pid: "UnknownTenantError"} == {pid: kind for pid, (kind, _) in unknown.items()}
    assert "nobody" in unknown[pid][1]
    assert "RequestError" == ask_all(directory, {"verb": "x"}).refused[pid][0]

    def broken() -> None:
        raise ValueError(PLANTED)

    registry.plan = broken  # type: ignore[method-assign, assignment]  # what cannot be foreseen
    assert {pid: ("ValueError", "")} == ask_all(directory, {"verb": "plan"}).refused


def test_no_answer_has_a_secret(registry: ClientRegistry, directory: Path) -> None:
    """Whatever is asked, and whatever is wrong with it."""
    registry.refresh("acme")
    asked: list[dict[str, Any]] = [
        {"verb": "status"},
        {"verb": "tenants"},
        {"verb": "refresh", "tenant": "acme"},
        {"verb": "pin", "tenant": "acme", "version": "7", "seconds": 5},
        {"verb": "pin", "tenant": "acme", "version": "1", "seconds": 1e9},
        {"verb": "unpin", "tenant": "acme"},
        {"verb": "plan"},
        {"verb": "reload"},
        {"verb": "fingerprint", "value": PLANTED},
        {"verb": PLANTED},
        {"verb": "status", PLANTED: 1},
    ]
    said = [ask_all(directory, each) for each in asked]
    assert all(each.given or each.refused for each in said)
    shown = json.dumps([[each.given, each.refused] for each in said])
    assert PLANTED not in shown
    assert (
        said[8].given[os.getpid()] == said[0].given[os.getpid()][0]["credentials"][0]["fingerprint"]
    )


def test_who_says_nothing_does_not_hold_up_the_others(
    registry: ClientRegistry, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that does not come is given up, and too long a one is not read."""
    monkeypatch.setattr("tenantry.control.server.REQUEST_SECONDS", 0.05)
    path = str(socket_of(directory, os.getpid()))
    with socket.socket(socket.AF_UNIX) as silent, socket.socket(socket.AF_UNIX) as long:
        silent.connect(path)
        long.connect(path)
        long.settimeout(LIMIT)
        long.sendall(b"x" * 70_000)
        assert b"longer than 65536 bytes" in long.recv(65_536)
        assert ask_all(directory, {"verb": "tenants"}).given


def test_many_who_say_nothing_do_not_hold_up_one_who_asks(
    registry: ClientRegistry, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as are let in at once, less one, however long they stay."""
    monkeypatch.setattr("tenantry.control.server.REQUEST_SECONDS", 600.0)
    path = str(socket_of(directory, os.getpid()))
    with ExitStack() as open_:
        for _ in range(AT_ONCE - 1):
            open_.enter_context(socket.socket(socket.AF_UNIX)).connect(path)
        assert ask_all(directory, {"verb": "tenants"}).given


def slow_source(registry: ClientRegistry) -> tuple[threading.Event, threading.Event]:
    """Have refreshes last; return what tells that one began, and what lets it go on."""
    begun, goes_on = threading.Event(), threading.Event()

    def slow(**_: object) -> None:
        begun.set()
        assert goes_on.wait(LIMIT)

    registry.refresh = slow  # type: ignore[method-assign, assignment]  # a source that takes its time
    return begun, goes_on


def test_whoever_waits_for_a_source_does_not_hold_up_the_others(
    registry: ClientRegistry, directory: Path
) -> None:
    """A slow answer is given beside others; one that was begun is given after the end, too."""
    begun, goes_on = slow_source(registry)
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(ask_all, directory, {"verb": "refresh", "tenant": "acme"})
        assert begun.wait(LIMIT)
        assert ask_all(directory, {"verb": "tenants"}).given
        registry.close()
        goes_on.set()
        assert {os.getpid(): None} == asked.result(LIMIT).given


def test_a_fork_in_the_middle_of_an_answer(registry: ClientRegistry, directory: Path) -> None:
    """The child does not keep the asker waiting for an answer that only its parent could give."""
    begun, goes_on = slow_source(registry)
    with socket.socket(socket.AF_UNIX) as asker:
        asker.settimeout(LIMIT)
        asker.connect(str(socket_of(directory, os.getpid())))
        asker.sendall(b'{"verb": "refresh", "tenant": "acme"}\n')
        assert begun.wait(LIMIT)
        pid = forked(signal.pause)
        goes_on.set()
        try:
            said = b""
            while chunk := asker.recv(65_536):  # ends: nobody else holds the other end
                said += chunk
            assert {"pid": os.getpid(), "answer": None} == json.loads(said)
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def test_two_registries_have_a_directory_each(registry: ClientRegistry, directory: Path) -> None:
    """The second one does not take the first one's socket away."""
    with (
        ClientRegistry.open(CONFIG, environ={}) as other,
        pytest.raises(ConfigError, match=r"has a .* already, where somebody answers"),
    ):
        other.serve_control(directory)
    assert ask_all(directory, {"verb": "tenants"}).given


def test_a_process_may_change_to_another_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As daemons do: the socket that it leaves behind is still its own."""
    monkeypatch.chdir(tmp_path)
    with ClientRegistry.open({"registry": {"control": "c"}, **CONFIG}, environ={}):
        monkeypatch.chdir("/")
        assert ask_all(tmp_path / "c", {"verb": "tenants"}).given
    assert [] == list((tmp_path / "c").iterdir())


def test_a_child_that_can_have_no_socket_says_so_and_lives(
    registry: ClientRegistry, directory: Path, tmp_path: Path
) -> None:
    """With one warning; its parent's answers go on."""
    said = tmp_path / "said"

    def work() -> None:
        directory.rename(tmp_path / "moved")
        handler = logging.FileHandler(said)
        logging.getLogger("tenantry").addHandler(handler)
        server = next(each for each in registry._listeners if isinstance(each, ControlServer))
        server.stop()
        server._open_in_child()

    in_child(work)
    (tmp_path / "moved").rename(directory)
    assert f"tenantry: no control socket: {directory} cannot have a socket: " in said.read_text()
    assert os.getpid() in ask_all(directory, {"verb": "tenants"}).given


def test_who_leaves_early_disturbs_nobody(registry: ClientRegistry, directory: Path) -> None:
    """An asker that is gone before its answer."""
    with socket.socket(socket.AF_UNIX) as hasty:
        hasty.connect(str(socket_of(directory, os.getpid())))
        hasty.sendall(b'{"verb": "tenants"}\n')
    assert ask_all(directory, {"verb": "tenants"}).given


def test_somebody_else_gets_no_answer(
    registry: ClientRegistry, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is closed before anything is read."""
    monkeypatch.setattr("tenantry.control.server.peer_of", lambda _: os.geteuid() + 1)
    found = ask_all(directory, {"verb": "tenants"})
    assert ({}, {}, [os.getpid()]) == (found.given, found.refused, list(found.silent))


def test_a_socket_of_a_killed_process_is_replaced(
    registry: ClientRegistry, directory: Path, tmp_path: Path
) -> None:
    """One that had the same number."""
    other = owned(tmp_path / "d")
    socket_of(other, os.getpid()).write_text("")
    server = ControlServer(other, registry)
    assert ask_all(other, {"verb": "tenants"}).given
    server.stop()


def test_a_child_answers_for_itself(registry: ClientRegistry, directory: Path) -> None:
    """Parent and child each have a socket; the child's goes with it, the parent's stays."""
    read, write = os.pipe()

    def work() -> None:
        os.close(write)
        os.read(read, 1)  # until the parent is done
        registry.close()

    pid = forked(work)
    os.close(read)
    try:
        deadline = time.monotonic() + LIMIT
        while (given := ask_all(directory, {"verb": "tenants"}).given).keys() != {os.getpid(), pid}:
            assert time.monotonic() < deadline
        assert {os.getpid(): ["acme"], pid: ["acme"]} == given
    finally:
        os.close(write)
        os.waitpid(pid, 0)
    assert {os.getpid()} == ask_all(directory, {"verb": "tenants"}).given.keys()
    assert [socket_of(directory, os.getpid())] == list(directory.iterdir())


def test_a_killed_child_leaves_a_socket_that_is_cleared_away(
    registry: ClientRegistry, directory: Path
) -> None:
    """By the first who asks."""
    pid = forked(signal.pause)
    deadline = time.monotonic() + LIMIT
    while pid not in ask_all(directory, {"verb": "tenants"}).given:
        assert time.monotonic() < deadline
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert (pid,) == ask_all(directory, {"verb": "tenants"}).dead
    assert [socket_of(directory, os.getpid())] == list(directory.iterdir())
