"""Asking every process whose control socket stands in a directory, all at once."""

from __future__ import annotations

import functools
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tenantry.control.directory import checked, remove_if_dead, sockets
from tenantry.control.lines import ANSWER_LIMIT, LineError, received, sent
from tenantry.control.peers import peer_of, trusted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 60.0  # a refresh waits for its source
AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Answers:
    """What processes said, by their number.

    `refused` has the class and the words of an error, `silent` why there was no answer; of those
    that are `dead` the socket was removed.
    """

    given: Mapping[int, Any] = field(default_factory=dict[int, Any])
    refused: Mapping[int, tuple[str, str]] = field(default_factory=dict[int, tuple[str, str]])
    silent: Mapping[int, str] = field(default_factory=dict[int, str])
    dead: tuple[int, ...] = ()


def ask_all(directory: Path, request: Mapping[str, Any]) -> Answers:
    """Send a request to all processes of a directory, and wait for what they say.

    Raises:
        ConfigError: the directory is not there, or is not this user's alone.
    """
    found = sockets(checked(directory))
    with ThreadPoolExecutor(AT_ONCE) as threads:
        replies = threads.map(functools.partial(_ask, request), found.values())
        said = dict(zip(found, replies, strict=True))
    dead = tuple(pid for pid, reply in said.items() if reply is None)
    alive = {pid: reply for pid, reply in said.items() if reply is not None}
    return Answers(
        {pid: reply["answer"] for pid, reply in alive.items() if "answer" in reply},
        {
            pid: (str(reply["error"]), str(reply.get("message", "")))
            for pid, reply in alive.items()
            if "error" in reply
        },
        {pid: str(reply["silent"]) for pid, reply in alive.items() if "silent" in reply},
        dead,
    )


def _ask(request: Mapping[str, Any], path: Path) -> dict[str, Any] | None:
    """Return what one process says; None where it is dead."""
    try:
        return _asked(path, request)
    except FileNotFoundError:
        return None
    except ConnectionRefusedError:
        # Nobody listens: its process was killed, or is just about to listen.
        return None if remove_if_dead(int(path.stem), path) else {"silent": "it does not listen"}
    except LineError as error:
        return {"silent": str(error)}
    except OSError as error:
        return {"silent": error.strerror or type(error).__name__}


def _asked(path: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(CONNECT_SECONDS)
        connection.connect(str(path))
        if not trusted(peer_of(connection)):
            return {"silent": "it runs as somebody else"}
        sent(connection, dict(request))
        reply = received(connection, limit=ANSWER_LIMIT, seconds=ANSWER_SECONDS)
    return reply if {"answer", "error"} & reply.keys() else {"silent": "that is no answer"}
