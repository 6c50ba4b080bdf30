"""Who is at the other end of a control socket, and whether to talk to them."""

from __future__ import annotations

import os
import socket
import struct

_ROOT = 0
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid


def trusted(uid: int | None) -> bool:
    """Whether to talk to a user: this process's own, and root; None is one whom nobody tells."""
    return uid is None or uid in {_ROOT, os.geteuid()}


def peer_of(connection: socket.socket) -> int | None:
    """Return the user at the other end, where the system tells; elsewhere the directory guards."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    uid: int = _CREDENTIALS.unpack(said)[1]
    return uid
