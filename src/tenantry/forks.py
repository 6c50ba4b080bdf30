"""What has to begin anew in a forked child: locks, threads and flights of the parent are gone."""

from __future__ import annotations

import logging
import os
import weakref
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("tenantry")


class Forkable(Protocol):
    """Something that lives through a fork."""

    def after_fork(self) -> None:
        """Begin anew; runs in the child before any other thread of it exists."""


_known: weakref.WeakKeyDictionary[Forkable, None] = weakref.WeakKeyDictionary()
_next: list[Callable[[], None]] = []


def survives_fork(thing: Forkable) -> None:
    """Have `thing.after_fork()` called in every child that is forked from now on."""
    _known[thing] = None


def once_all_began_anew(step: Callable[[], None]) -> None:
    """Call `step` after every `after_fork`; whoever starts a thread has to wait for that.

    A thread that ran earlier could meet a lock that nobody in the child will ever release.
    """
    _next.append(step)


def _in_child() -> None:
    for thing in list(_known):
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
