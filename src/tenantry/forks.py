"""What has to begin anew in a forked child: locks, threads and flights of the parent are gone."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """Something that lives through a fork."""

    def after_fork(self) -> None:
        """Begin anew; runs in the child before any other thread of it exists."""


_known: weakref.WeakSet[Forkable] = weakref.WeakSet()


def survives_fork(thing: Forkable) -> None:
    """Have `thing.after_fork()` called in every child that is forked from now on."""
    _known.add(thing)


def _in_child() -> None:
    for thing in list(_known):
        thing.after_fork()


os.register_at_fork(after_in_child=_in_child)
