"""Forked children of a test: nothing of the test goes on in them, and none outlives it."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = 30.0  # seconds after which a child that hangs fails its test


def in_child(work: Callable[[], Any]) -> Any:
    """Return what `work` returns in a child; it has to be something that can be pickled.

    Raises:
        AssertionError: it raised, or hangs.
    """
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = forked(lambda: sender.send(_outcome(work)))
    sender.close()
    with receiver:
        try:
            assert receiver.poll(LIMIT), "the child hangs"
            returned, answer = receiver.recv()
        finally:
            _end(child)
    assert returned, answer
    return answer


def forked(work: Callable[[], object]) -> int:
    """Have `work` done in a child, and return its number for `joined`.

    Its exit code is 0, or 1 where `work` raised.
    """
    with warnings.catch_warnings():
        # Python 3.12 warns of forks beside threads: what happens then is tested here.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            work()
            os._exit(0)
        os._exit(1)
    return child


def joined(*children: int) -> list[int]:
    """Wait for children, and return their exit codes; those that hang are killed."""
    deadline = time.monotonic() + LIMIT
    return [_code(child, deadline) for child in children]


def _code(child: int, deadline: float) -> int:
    while time.monotonic() < deadline:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    return _end(child)


def _end(child: int) -> int:
    os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _outcome(work: Callable[[], Any]) -> tuple[bool, Any]:
    try:
        return True, work()
    except BaseException as error:  # noqa: BLE001  # told to the parent
        return False, repr(error)
