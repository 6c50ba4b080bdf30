"""What has to begin anew in a forked child: locks, threads and flights of the parent are gone."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("tenantry")

FEW = 1024


class Forkable(Protocol):
    """Something that lives through a fork."""

    def after_fork(self) -> None:
        """Begin anew; runs in the child before any other thread of it exists."""


class _Known:
    """Everything that lives through a fork, as long as somebody else holds it.

    What is gone is looked for when as much has come again: to be told of each that goes would run
    code of ours wherever thousands of them are freed.
    """

    def __init__(self) -> None:
        self._things: list[weakref.ref[Forkable]] = []
        self._look_at = FEW
        self.after_fork()

    def after_fork(self) -> None:
        """Take a new lock: the thread that may have held the old one is gone."""
        # What is freed while this is held may make something new.
        self._lock = threading.RLock()

    def add(self, thing: Forkable) -> None:
        with self._lock:
            self._things.append(weakref.ref(thing))
            if len(self._things) >= self._look_at:
                self.forget_gone()

    def forget_gone(self) -> None:
        with self._lock:
            self._things = [known for known in self._things if known() is not None]
            self._look_at = max(FEW, 2 * len(self._things))

    def all(self) -> list[Forkable]:
        found = (known() for known in self._things)
        return [thing for thing in found if thing is not None]


_known = _Known()
_next: list[Callable[[], None]] = []


def survives_fork(thing: Forkable) -> None:
    """Have `thing.after_fork()` called in every child that is forked from now on."""
    _known.add(thing)


def forget_gone() -> None:
    """Forget what is gone; call it where thousands of things went at once."""
    _known.forget_gone()


def once_all_began_anew(step: Callable[[], None]) -> None:
    """Call `step` after every `after_fork`; whoever starts a thread has to wait for that.

    A thread that ran earlier could meet a lock that nobody in the child will ever release.
    """
    _next.append(step)


def _in_child() -> None:
    _known.after_fork()
    for thing in _known.all():
        _call(thing.after_fork)
    while _next:
        _call(_next.pop())


def _call(step: Callable[[], None]) -> None:
    try:
        step()
    except Exception:
        # One that fails must not leave the others with locks that nobody will ever release.
        log.exception("tenantry: something did not begin anew after a fork")


os.register_at_fork(after_in_child=_in_child)
