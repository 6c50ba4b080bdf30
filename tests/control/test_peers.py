"""Who is at the other end is known, and only its own user and root are talked to."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from tenantry.control.peers import peer_of, trusted

if TYPE_CHECKING:
    import pytest


def test_only_the_same_user_and_root_are_talked_to() -> None:
    """Whom the system does not tell is kept out by the directory."""
    me = os.geteuid()
    assert [True, True, True, False] == [trusted(uid) for uid in (me, 0, None, me + 1)]


def test_the_system_tells_who_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it can; elsewhere nobody is known."""
    one, other = socket.socketpair()
    with one, other:
        assert os.geteuid() == peer_of(one)
        monkeypatch.delattr(socket, "SO_PEERCRED")
        assert peer_of(other) is None
