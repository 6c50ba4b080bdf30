"""Control sockets stand where nobody else can put, or open, one."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tenantry.control.directory import checked, owned, remove_if_dead, socket_of, sockets
from tenantry.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def test_it_is_made_for_its_user_alone(tmp_path: Path) -> None:
    """A directory that is not there is made with 0700, and is fit the second time, too."""
    directory = owned(tmp_path / "control")
    assert 0o40700 == directory.stat().st_mode
    assert directory == owned(directory) == checked(directory)


@pytest.mark.parametrize("mode", [0o710, 0o701, 0o770, 0o755])
def test_one_that_lets_others_in_is_refused(tmp_path: Path, mode: int) -> None:
    """Whatever others may do there, and the error says what to do about it."""
    tmp_path.chmod(mode)
    with pytest.raises(ConfigError, match="lets others in\n    name one that is for sockets alone"):
        owned(tmp_path)


def test_a_link_is_refused(tmp_path: Path) -> None:
    """Whoever may replace the link says where the sockets are."""
    link = tmp_path / "link"
    link.symlink_to(owned(tmp_path / "control"), target_is_directory=True)
    with pytest.raises(ConfigError, match="is not a directory"):
        owned(link)


def test_somebody_elses_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its owner could put any socket there."""
    directory = owned(tmp_path / "control")
    monkeypatch.setattr(os, "geteuid", lambda: directory.stat().st_uid + 1)
    with pytest.raises(ConfigError, match=r"belongs to somebody else\n    name one .* sudo -u '#"):
        owned(directory)


def test_what_cannot_be_made_is_told(tmp_path: Path) -> None:
    """Neither can one in a directory that is not there, nor one below a file; nor be read."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made: No such file"):
        owned(tmp_path / "a" / "b")
    with pytest.raises(ConfigError, match="cannot be made: Not a directory"):
        owned(tmp_path / "file" / "b")
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        checked(tmp_path / "nowhere")


def test_one_that_is_too_long_is_refused(tmp_path: Path) -> None:
    """The system would refuse the socket's name later, and not say why."""
    with pytest.raises(ConfigError, match="too long for the name of a socket"):
        owned(tmp_path / ("x" * 100))


def test_sockets_are_found_by_process(tmp_path: Path) -> None:
    """Other files are passed over, and what is no number that a process could have."""
    for name in ("41.sock", "7.sock", "me.sock", "41.txt", "0.sock", f"{10**20}.sock", "٣.sock"):
        (tmp_path / name).write_text("")
    assert {7: socket_of(tmp_path, 7), 41: socket_of(tmp_path, 41)} == sockets(tmp_path)


def test_one_that_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what to do about it."""
    monkeypatch.setattr(type(tmp_path), "iterdir", refused)
    with pytest.raises(ConfigError, match="cannot be read: Permission denied\n    check its mode"):
        sockets(tmp_path)


def test_what_cannot_be_removed_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be written nobody says that it was removed."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(60)
    monkeypatch.setattr(type(tmp_path), "unlink", refused)
    assert not remove_if_dead(process.pid, socket_of(tmp_path, process.pid))


def refused(*_: object, **__: object) -> None:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def test_what_a_dead_process_left_is_removed(tmp_path: Path) -> None:
    """The socket of one that lives stays, whoever it belongs to."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(60)
    kept = {pid: socket_of(tmp_path, pid) for pid in (process.pid, os.getpid(), 1)}
    for path in kept.values():
        path.write_text("")
    assert [True, False, False] == [remove_if_dead(pid, path) for pid, path in kept.items()]
    assert [False, True, True] == [path.exists() for path in kept.values()]
