"""Who asks gets the union of what all processes say, and hears of those that say nothing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tenantry.control.asking import Answers, ask_all
from tenantry.control.directory import owned, socket_of
from tenantry.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMIT = 10.0  # seconds after which a test that hangs fails
LISTEN_AND_END = """
import os, socket, sys
door = socket.socket(socket.AF_UNIX)
door.bind(f"{sys.argv[1]}/{os.getpid()}.sock")
door.listen()
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return owned(tmp_path / "c")


@contextmanager
def process(path: Path, reply: bytes) -> Iterator[None]:
    """A process that says the same to whoever asks it."""
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        door.listen()
        thread = threading.Thread(target=_answer, args=(door, reply))
        thread.start()
        yield
        thread.join(LIMIT)


def _answer(door: socket.socket, reply: bytes) -> None:
    connection, _ = door.accept()
    with connection:
        connection.recv(65_536)
        connection.sendall(reply)


def test_the_answers_of_all_are_returned(directory: Path) -> None:
    """What was answered, what was refused, and what was said wrongly."""
    with (
        process(socket_of(directory, 1), b'{"answer": ["acme"]}\n'),
        process(socket_of(directory, 2), b'{"error": "X", "message": "no"}\n'),
        process(socket_of(directory, 3), b"hello\n"),
        process(socket_of(directory, 4), b""),
        process(socket_of(directory, 5), b'{"pid": 5}\n'),
        process(socket_of(directory, 6), b'{"answer": ["acme"]'),
    ):
        found = ask_all(directory, {"verb": "tenants"})
    assert ({1: ["acme"]}, {2: ("X", "no")}, ()) == (found.given, found.refused, found.dead)
    assert {
        3: "that is not a line of JSON",
        4: "it ended in the middle of a line",
        5: "that is no answer",
        6: "it ended in the middle of a line",
    } == found.silent


def test_the_sockets_of_the_dead_are_removed(directory: Path) -> None:
    """They are named; one whose process lives, and does not listen, stays."""
    killed = subprocess.Popen([sys.executable, "-c", LISTEN_AND_END, str(directory)])
    killed.wait(60)
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(socket_of(directory, 1)))
        found = ask_all(directory, {"verb": "tenants"})
    assert Answers(silent={1: "it does not listen"}, dead=(killed.pid,)) == found
    assert [socket_of(directory, 1)] == list(directory.iterdir())


def test_nobody_is_asked_in_a_directory_of_others(tmp_path: Path) -> None:
    """Anybody's answers could stand there."""
    tmp_path.chmod(0o755)
    with pytest.raises(ConfigError, match="lets others in"):
        ask_all(tmp_path, {"verb": "tenants"})


def test_nothing_is_sent_to_somebody_else(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of another user is not asked: a request may have a key in it."""
    monkeypatch.setattr("tenantry.control.asking.peer_of", lambda _: os.geteuid() + 1)
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(socket_of(directory, 1)))
        stranger.listen()
        found = ask_all(directory, {"verb": "fingerprint", "value": "sk-planted"})
        connection, _ = stranger.accept()
        with connection:
            assert b"" == connection.recv(9)
    assert {1: "it runs as somebody else"} == found.silent
