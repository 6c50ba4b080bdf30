"""Where control sockets stand: a directory that belongs to their user and lets nobody else in."""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

from tenantry.errors import ConfigError, Problem

if TYPE_CHECKING:
    from pathlib import Path

PATH_LIMIT = 100  # bytes; the least of what systems take as the name of a socket is 104
_PRIVATE = 0o700
_SUFFIX = ".sock"
_PID = re.compile(r"[1-9][0-9]{0,8}")


def owned(directory: Path) -> Path:
    """Return a directory for sockets, made if it is not there.

    Raises:
        ConfigError: it belongs to somebody else, others may enter it, or it is none.
    """
    try:
        directory.mkdir(_PRIVATE, exist_ok=True)
    except FileExistsError:
        pass  # as what, is seen below
    except OSError as error:
        reason = f"cannot be made: {error.strerror}"
        raise unfit(directory, reason, "check the directory above it") from None
    return checked(directory)


def checked(directory: Path) -> Path:
    """Return a directory for sockets that is there.

    Raises:
        ConfigError: it is not, or nobody should trust what stands in it.
    """
    try:
        found = directory.lstat()
    except OSError as error:
        raise unfit(directory, f"cannot be read: {error.strerror}", "check the path") from None
    if not stat.S_ISDIR(found.st_mode):
        raise unfit(directory, "is not a directory", "name a directory itself, and no link to it")
    if found.st_uid != os.geteuid():
        hint = f"name one that this user owns, or run this as its owner: sudo -u '#{found.st_uid}'"
        raise unfit(directory, "belongs to somebody else", hint)
    if stat.S_IMODE(found.st_mode) & 0o077:
        hint = "name one that is for sockets alone, with mode 0700"
        raise unfit(directory, "lets others in", hint)
    if len(os.fsencode(socket_of(directory, 2**22))) > PATH_LIMIT:
        raise unfit(directory, "is too long for the name of a socket", "name a shorter one")
    return directory


def socket_of(directory: Path, pid: int) -> Path:
    """Return where a process's socket stands."""
    return directory / f"{pid}{_SUFFIX}"


def sockets(directory: Path) -> dict[int, Path]:
    """Return the sockets that stand in a directory by process, those of dead ones too.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        found = sorted(path for path in directory.iterdir() if path.suffix == _SUFFIX)
    except OSError as error:
        raise unfit(directory, f"cannot be read: {error.strerror}", "check its mode") from None
    return {int(path.stem): path for path in found if _PID.fullmatch(path.stem)}


def remove_if_dead(pid: int, socket: Path) -> bool:
    """Remove the socket of a process that is gone; return whether it was."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return _removed(socket)
    except OSError:
        pass  # somebody else's: the number was given to another process
    return False


def _removed(socket: Path) -> bool:
    try:
        socket.unlink(missing_ok=True)
    except OSError:  # where nothing can be written
        return False
    return True


def unfit(directory: Path, reason: str, hint: str) -> ConfigError:
    """Say what keeps a directory from having sockets."""
    return ConfigError(Problem(f"{directory} {reason}", "registry.control", hint=hint))
