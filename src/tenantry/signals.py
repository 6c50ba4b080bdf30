"""Doing something when the process gets a signal, outside of the signal's handler."""

from __future__ import annotations

import queue
import signal
import threading
from typing import TYPE_CHECKING

from tenantry.forks import once_all_began_anew, survives_fork

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


class OnSignal:
    """Runs `job` on a thread of its own each time that a signal comes, until `stop`.

    A handler interrupts the main thread anywhere, perhaps with a lock in its hands: all that it may
    do is leave a note. Whoever handled the signal before goes on hearing of it. Has to be made on
    the main thread.
    """

    def __init__(self, signum: int, job: Callable[[], object]) -> None:
        self._signum = signum
        self._job = job
        self._stopped = False
        self._notes: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._before = signal.signal(signum, self._note)
        survives_fork(self)
        self._listen()

    def after_fork(self) -> None:
        """Listen in the child, too, with a thread of its own."""
        self._notes = queue.SimpleQueue()
        if not self._stopped:
            once_all_began_anew(self._listen)

    def stop(self) -> None:
        """Put the handler of before back, and end the thread; stopping twice is harmless."""
        if not self._stopped:
            self._stopped = True
            signal.signal(self._signum, self._before)
            self._notes.put(False)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self._notes.put(True)
        if callable(self._before):
            self._before(signum, frame)

    def _listen(self) -> None:
        threading.Thread(target=self._run, name="tenantry-signals", daemon=True).start()

    def _run(self) -> None:
        notes = self._notes
        while notes.get():
            self._job()
