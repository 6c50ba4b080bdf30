"""A socket that listens where a process is expected, and who came in there."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from typing import TYPE_CHECKING

from tenantry.control.directory import unfit

if TYPE_CHECKING:
    from pathlib import Path

PAUSE = 0.1  # seconds, where nobody can be let in: for want of descriptors, for instance
PROBE_SECONDS = 1.0


class Door:
    """A listening socket, what wakes the thread that waits there, and who was let in.

    Raises:
        ConfigError: the directory cannot have it, or somebody listens there already.
    """

    def __init__(self, path: Path) -> None:
        if _listens(path):
            reason = f"has a {path.name} already, where somebody answers"
            hint = "name a directory of its own for each registry, and for each container"
            raise unfit(path.parent, reason, hint)
        self._path = path
        self._guests: set[socket.socket] = set()
        self._asleep, self._wake = socket.socketpair()
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._open()
        except OSError as error:
            self.leave()
            reason = f"cannot have a socket: {error.strerror}"
            raise unfit(path.parent, reason, "check what stands there") from None

    def _open(self) -> None:
        self._path.unlink(missing_ok=True)  # of one that had this number before, and was killed
        self._listening.bind(str(self._path))
        self._path.chmod(0o600)
        self._listening.listen()

    def next(self) -> socket.socket | None:
        """Wait for somebody who asks, until `dismiss`; None where the door was shut."""
        with selectors.DefaultSelector() as selector:
            for each in (self._listening, self._asleep):
                selector.register(each, selectors.EVENT_READ)
            while self._asleep not in (key.fileobj for key, _ in selector.select()):
                try:
                    guest = self._listening.accept()[0]
                except OSError:  # who knocked is gone already, or there is no room
                    time.sleep(PAUSE)
                    continue
                self._guests.add(guest)
                return guest
        return None

    def dismiss(self, guest: socket.socket) -> None:
        """Close the connection of somebody who was let in."""
        self._guests.discard(guest)
        guest.close()

    def shut(self) -> None:
        """Let nobody in any more; who is inside has an answer yet."""
        with contextlib.suppress(OSError):  # it is in nobody's way: the next one replaces it
            self._path.unlink()
        self._wake.close()  # the sleeper wakes up; it closes the rest

    def leave(self) -> None:
        """Close this process's ends; the socket's name is not touched."""
        for each in (self._listening, self._asleep, self._wake):
            each.close()

    def disown(self) -> None:
        """Do what `leave` does in a forked child, where nobody answers those who are inside."""
        self.leave()
        for guest in list(self._guests):
            self.dismiss(guest)


def _listens(path: Path) -> bool:
    """Whether somebody answers there; what a killed process left does not."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_SECONDS)
        try:
            probe.connect(str(path))
        except (BlockingIOError, TimeoutError):  # it has no time
            return True
        except OSError:
            return False
    return True
