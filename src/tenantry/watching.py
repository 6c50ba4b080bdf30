"""Watching a configuration's files: a change is taken once it has settled."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tenantry.forks import once_all_began_anew, survives_fork
from tenantry.loading import read_contents, signature

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tenantry.loading import Contents, Signature
    from tenantry.schedule import Schedule

LANE = "watch"
THOROUGH = 10  # every tenth look reads the files, although they seem to be as they were


class Watcher:
    """Looks at files every so often, and reloads what two looks in a row found the same.

    A file that is being written parses cleanly more often than not, with fewer tenants. Looking at
    names, sizes, inodes and times sees replaced links (Kubernetes) and renames; a rewrite within
    one tick of the clock keeps all of them, so that now and then the bytes are compared. Lives as
    long as the registry, and goes on in forked children.

    Args:
        paths: what was opened: files and directories.
        contents: what was read of them then.
        every: seconds between two looks.
        take: reloads from what was read.
        schedule: what calls `due` in time.
        submit: runs a job on a thread: the files may lie on a disk that hangs.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        contents: Contents,
        every: float,
        take: Callable[[Contents], object],
        schedule: Schedule,
        submit: Callable[[str, Callable[[], None]], None],
    ) -> None:
        self.every = every
        self._paths = paths
        self._take = take
        self._schedule = schedule
        self._submit = submit
        self._looks = 0
        self._seen: Signature | None = None  # the first look reads: something may have changed
        self._taken = self._pending = contents
        survives_fork(self)
        self._again()

    def after_fork(self) -> None:
        """Go on watching: a look of the parent may have been on its way."""
        once_all_began_anew(self._again)

    def _again(self) -> None:
        self._next = self._schedule.clock() + self.every
        self._schedule.at(self._next, self)

    def due(self) -> None:
        if self._schedule.clock() >= self._next:  # else a parent asked for this
            self._next = math.inf  # until this look is over
            try:
                self._submit(LANE, self._look_again)
            except RuntimeError:  # the process can have no more threads
                self._again()

    def _look_again(self) -> None:
        try:
            self.look()
        finally:
            self._again()

    def look(self) -> None:
        """Look once; take what changed, if the look before found the same."""
        self._looks += 1
        now = signature(self._paths)
        settled = now == self._seen and self._pending == self._taken
        if settled and self._looks % THOROUGH:
            return
        self._seen = now
        contents = read_contents(self._paths)
        if contents == self._taken or contents != self._pending:
            self._pending = contents
            return
        self._taken = contents  # also if it cannot be used: the same bytes never can
        self._take(contents)
