"""One socket of one process, and the threads that answer there."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from typing import TYPE_CHECKING, Any

from tenantry.control.directory import owned, socket_of
from tenantry.control.door import Door
from tenantry.control.lines import REQUEST_LIMIT, LineError, received, sent
from tenantry.control.peers import peer_of, trusted
from tenantry.control.verbs import Operated, RequestError, answer
from tenantry.errors import ConfigError, RegistryClosedError, TenantryError
from tenantry.forks import once_all_began_anew, survives_fork

if TYPE_CHECKING:
    import socket
    from pathlib import Path

log = logging.getLogger("tenantry")

AT_ONCE = 8  # who asks, or says nothing, must not hold up the others
REQUEST_SECONDS = 2.0  # for a request to come in whole
ANSWER_SECONDS = 10.0


class ControlServer:
    """Answers operators about one registry, at `DIR/<pid>.sock`, until `stop`.

    A child that is forked has a socket of its own; its parent's stays where it is.

    Raises:
        ConfigError: others could use the directory, it cannot be made, or has this socket already.
    """

    def __init__(self, directory: Path, operated: Operated) -> None:
        self._directory = owned(directory.absolute())  # a daemon may change to another one
        self._operated = weakref.ref(operated)  # a thread must not keep a registry alive
        self._door: Door | None = None
        self._stopped = False
        survives_fork(self)
        self._open()

    def after_fork(self) -> None:
        """Leave the parent's socket to the parent, and open another."""
        if self._door is not None:
            self._door.disown()
            self._door = None
        if not self._stopped:
            once_all_began_anew(self._open_in_child)

    def stop(self) -> None:
        """Remove the socket and end the threads; stopping twice is harmless."""
        self._stopped = True
        door, self._door = self._door, None
        if door is not None:
            door.shut()

    def _open_in_child(self) -> None:
        try:
            self._open()
        except ConfigError as error:
            log.warning("tenantry: no control socket: %s", error.problems[0].message)

    def _open(self) -> None:
        door = self._door = Door(socket_of(self._directory, os.getpid()))
        _begin(self._run, door)

    def _run(self, door: Door) -> None:
        turns = threading.BoundedSemaphore(AT_ONCE)
        while (guest := door.next()) is not None:
            turns.acquire()
            try:
                _begin(self._attend, door, guest, turns)
            except RuntimeError:  # no more threads
                turns.release()
                door.dismiss(guest)
        door.leave()

    def _attend(self, door: Door, guest: socket.socket, turns: threading.BoundedSemaphore) -> None:
        try:
            self._serve(guest)
        except OSError:
            pass  # who asked is gone
        except Exception:
            # Nobody sees what a thread raises.
            log.exception("tenantry: the control socket failed on a request")
        finally:
            door.dismiss(guest)
            turns.release()

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


def _begin(step: Any, *arguments: Any) -> None:
    threading.Thread(target=step, args=arguments, name="tenantry-control", daemon=True).start()


def _failure(error: Exception, message: str) -> dict[str, Any]:
    return {"error": type(error).__name__, "message": message}
