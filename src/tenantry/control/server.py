"""One socket of one process, and the thread that answers there."""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import socket
import struct
import threading
import weakref
from typing import TYPE_CHECKING, Any

from tenantry.control.directory import owned, socket_of, unfit
from tenantry.control.lines import REQUEST_LIMIT, LineError, received, sent
from tenantry.control.verbs import Operated, RequestError, answer
from tenantry.errors import RegistryClosedError, TenantryError
from tenantry.forks import once_all_began_anew, survives_fork

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger("tenantry")

REQUEST_SECONDS = 2.0  # for a request to come in whole: one slow asker must not hold up the others
ANSWER_SECONDS = 10.0
_ROOT = 0


class ControlServer:
    """Answers operators about one registry, at `DIR/<pid>.sock`, until `stop`.

    A child that is forked has a socket of its own; its parent's stays where it is.

    Raises:
        ConfigError: others could use the directory, or it cannot be made.
    """

    def __init__(self, directory: Path, operated: Operated) -> None:
        self._directory = owned(directory)
        self._operated = weakref.ref(operated)  # a thread must not keep a registry alive
        self._door: _Door | None = None
        self._stopped = False
        survives_fork(self)
        self._open()

    def after_fork(self) -> None:
        """Leave the parent's socket to the parent, and open another."""
        if self._door is not None:
            self._door.leave()
            self._door = None
        if not self._stopped:
            once_all_began_anew(self._open)

    def stop(self) -> None:
        """Remove the socket and end the thread; stopping twice is harmless."""
        self._stopped = True
        door, self._door = self._door, None
        if door is not None:
            door.shut()

    def _open(self) -> None:
        door = self._door = _Door(socket_of(self._directory, os.getpid()))
        thread = threading.Thread(
            target=self._run, args=(door,), name="tenantry-control", daemon=True
        )
        thread.start()

    def _run(self, door: _Door) -> None:
        while (connection := door.next()) is not None:
            with connection:
                try:
                    self._serve(connection)
                except OSError:
                    pass  # who asked is gone
                except Exception:
                    # One request must not end the answering of all others.
                    log.exception("tenantry: the control socket failed on a request")
        door.leave()

    def _serve(self, connection: socket.socket) -> None:
        if not trusted(peer_of(connection)):
            return
        try:
            request = received(connection, limit=REQUEST_LIMIT, seconds=REQUEST_SECONDS)
            reply = self._reply(request)
        except LineError as error:
            reply = _failure(error, str(error))
        connection.settimeout(ANSWER_SECONDS)
        sent(connection, {"pid": os.getpid(), **reply})

    def _reply(self, request: dict[str, Any]) -> dict[str, Any]:
        operated = self._operated()
        if operated is None:
            return _failure(RegistryClosedError(), "the registry is gone")
        try:
            return {"answer": answer(operated, request)}
        except (TenantryError, RequestError) as error:
            return _failure(error, str(error))
        except Exception as error:  # noqa: BLE001  # its words may quote a secret
            return _failure(error, "")


def _failure(error: Exception, message: str) -> dict[str, Any]:
    return {"error": type(error).__name__, "message": message}


def trusted(uid: int | None) -> bool:
    """Whether a user may ask: the process's own, and root; None is one whom the system hides."""
    return uid is None or uid in {_ROOT, os.geteuid()}


def peer_of(connection: socket.socket) -> int | None:
    """Return the user at the other end, where the system tells; elsewhere the directory guards."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    credentials = struct.Struct("3i")  # pid, uid, gid
    said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
    uid: int = credentials.unpack(said)[1]
    return uid


class _Door:
    """A listening socket, and what wakes the thread that waits there.

    Raises:
        ConfigError: the directory cannot have it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
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
        """Wait for somebody who asks; None where the door was shut."""
        with selectors.DefaultSelector() as selector:
            for each in (self._listening, self._asleep):
                selector.register(each, selectors.EVENT_READ)
            while self._asleep not in (key.fileobj for key, _ in selector.select()):
                with contextlib.suppress(OSError):  # who knocked is gone already
                    return self._listening.accept()[0]
        return None

    def shut(self) -> None:
        self._path.unlink(missing_ok=True)
        self._wake.close()  # the sleeper wakes up; it closes the rest

    def leave(self) -> None:
        """Close this process's ends; the socket's name is not touched."""
        for each in (self._listening, self._asleep, self._wake):
            each.close()
