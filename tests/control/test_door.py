"""A door lets in whoever knocks, is never taken from another one, and can be shut at any time."""

from __future__ import annotations

import errno
import os
import resource
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tenantry.control.directory import owned
from tenantry.control.door import PAUSE, Door
from tenantry.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 10.0  # seconds after which a test that hangs fails


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return owned(tmp_path / "c") / "7.sock"


@pytest.fixture
def door(path: Path) -> Iterator[Door]:
    made = Door(path)
    yield made
    made.shut()
    assert made.next() is None
    made.disown()


def knock(path: Path) -> socket.socket:
    guest = socket.socket(socket.AF_UNIX)
    guest.settimeout(LIMIT)
    guest.connect(str(path))
    return guest


def test_only_its_user_may_open_it(door: Door, path: Path) -> None:
    """Whatever the process's umask is."""
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_who_knocks_is_let_in(door: Door, path: Path) -> None:
    """And may be sent away."""
    with knock(path) as guest:
        inside = door.next()
        assert inside is not None
        inside.sendall(b"hello")
        assert b"hello" == guest.recv(9)
        door.dismiss(inside)
        assert b"" == guest.recv(9)


def test_one_that_is_in_use_is_not_taken(door: Door, path: Path) -> None:
    """Another registry of this process, or another container's, keeps its own."""
    with pytest.raises(ConfigError, match=r"has a 7\.sock already, where somebody answers"):
        Door(path)
    with knock(path):
        pass


def test_one_that_has_no_time_is_in_use(path: Path) -> None:
    """Nobody else can tell it from one that has."""
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(path))
        busy.listen(0)
        with knock(path), pytest.raises(ConfigError, match="somebody answers"):
            Door(path)


def test_what_was_left_is_replaced(path: Path) -> None:
    """A socket where nobody listens is a killed process's."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    door = Door(path)
    with knock(path):
        assert door.next() is not None
    door.shut()
    door.disown()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES, errno.EROFS])
def test_what_keeps_it_from_being_made_is_told(
    path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A full disk, for instance; nothing is left open."""

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket.socket, "bind", refuse)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(ConfigError, match=f"cannot have a socket: {os.strerror(number)}"):
        Door(path)
    assert before == len(list(Path("/proc/self/fd").iterdir()))


def test_without_descriptors_it_waits(
    door: Door, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not spin; who knocked is let in as soon as there is room."""
    pauses: list[float] = []
    most = resource.getrlimit(resource.RLIMIT_NOFILE)

    def make_room(seconds: float) -> None:
        pauses.append(seconds)
        resource.setrlimit(resource.RLIMIT_NOFILE, most)

    monkeypatch.setattr("tenantry.control.door.time.sleep", make_room)
    accept = socket.socket.accept

    def without_room(listening: socket.socket) -> tuple[socket.socket, object]:
        if not pauses:
            resource.setrlimit(resource.RLIMIT_NOFILE, (0, most[1]))
        return accept(listening)

    monkeypatch.setattr(socket.socket, "accept", without_room)
    with knock(path):
        assert door.next() is not None
    assert [PAUSE] == pauses


def test_shutting_harms_nobody_inside(path: Path) -> None:
    """Its name goes, also where that was taken already; who is inside has an answer yet."""
    door = Door(path)
    with knock(path) as guest:
        inside = door.next()
        assert inside is not None
        path.unlink()
        path.parent.rmdir()
        door.shut()
        assert door.next() is None
        door.leave()
        inside.sendall(b"yet")
        assert b"yet" == guest.recv(9)
        door.disown()
        assert b"" == guest.recv(9)
