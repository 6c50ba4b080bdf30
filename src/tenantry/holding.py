"""Which of the values that came serves, which is on trial, and which is kept back?

A new value of a document that the service had accepted is on trial first: one request after the
other tries it, ever more rarely, until the service accepts it. So a wrong key that somebody
publishes while the old one still works fails no request.

Pure: every method is told what time it is (seconds on a monotonic clock). The keeper's lock guards
it, but for `held` and `fresh_until`, which are swapped whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tenantry.freshness import Freshness, Limits, forced_delay

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenantry.secret import Document


@dataclass(frozen=True, slots=True)
class Held:
    """A delivered document and its limits."""

    document: Document
    limits: Limits
    got: float

    def usable(self, now: float) -> bool:
        return now < self.limits.hard


@dataclass(slots=True)
class Trial:
    """A new value that the service has not accepted yet, and when it is tried next."""

    held: Held
    at: float
    tries: int = 0
    refused: bool = False


class Holding:
    """The values of one document.

    `held` is what serves, and `fresh_until` the instant before which it may be read without looking
    further. `proven` is the last document that the service accepted. `pin` serves before all of
    them, until its limits end it: somebody said so.
    """

    def __init__(self) -> None:
        self.held: Held | None = None
        self.fresh_until = -math.inf
        self.proven: Document | None = None
        self.trial: Trial | None = None
        self.pin: Held | None = None
        self._previous: tuple[Held, float] | None = None  # and the instant it is kept until

    @property
    def newest(self) -> Held | None:
        return self.held if self.trial is None else self.trial.held

    def pinned(self, now: float) -> Held | None:
        """Return what is pinned, while it is."""
        return self.pin if self.pin is not None and self.pin.usable(now) else None

    def serving(self, now: float) -> Held | None:
        """Return what is pinned, else what serves, however old."""
        return self.pinned(now) or self.held

    def freshness(self, now: float) -> Freshness:
        held = self.serving(now)
        return Freshness.EXPIRED if held is None else held.limits.freshness(now)

    def usable(self, now: float) -> bool:
        return self.held is not None and self.held.usable(now)

    # -- a value comes ----------------------------------------------------------------------------

    def take(self, fresh: Held, *, overlap: float, drop_previous: bool) -> None:
        """Take a value that just came; a changed one goes on trial, or serves at once.

        Args:
            fresh: what came.
            overlap: seconds for which a predecessor is kept.
            drop_previous: nothing older may serve again.
        """
        held, trial = self.held, self.trial
        if held is None or held.document.same_content(fresh.document):
            self._renew(fresh)
        elif trial is not None and trial.held.document.same_content(fresh.document):
            trial.held = fresh
            self._set_fresh_until()
        elif self.proven is held.document and held.usable(fresh.got) and not drop_previous:
            self.trial = Trial(fresh, fresh.got)
            self._set_fresh_until()
        else:
            self._promote(fresh, fresh.got + overlap)
        if drop_previous:
            self._settle(fresh)

    def tighten(self, limits: Limits) -> None:
        """Let what serves become stale and expire no later than `limits`."""
        if self.held is not None:
            self._serve(_sooner(self.held, limits))

    def outdate(self, instant: float, now: float) -> bool:
        """Mistrust what came before `instant`; return whether that is what serves unpinned."""
        if self.pin is not None and self.pin.got < instant:
            self.set_pin(None)
        if self._previous is not None and self._previous[0].got < instant:
            self._previous = None
        stale = Limits(now, math.inf)
        if self.trial is not None and self.trial.held.got < instant:
            self.trial.held = _sooner(self.trial.held, stale)
        if self.held is None or self.held.got >= instant:
            return False
        self.tighten(stale)
        return True

    def drop(self) -> None:
        """Forget everything: the secret was removed where it came from."""
        self.held = self.trial = self.pin = self._previous = None
        self._set_fresh_until()

    def set_pin(self, held: Held | None) -> None:
        """Let a document serve before all others, or none; the others are kept as ever."""
        self.pin = held
        self._set_fresh_until()

    # -- a value is asked for ---------------------------------------------------------------------

    def served(self, now: float, *, trying: bool, overlap: float) -> Held | None:
        """Return what serves, or, to one caller at a time that is `trying`, the value on trial."""
        trial, pinned = self.trial, self.pinned(now)
        if pinned is not None:
            return pinned
        if trial is not None and not self.usable(now):
            self._promote(trial.held, now + overlap)
        elif trial is not None and trying and now >= trial.at and trial.held.usable(now):
            trial.at = now + forced_delay(trial.tries)
            trial.tries += 1
            self._set_fresh_until()
            return trial.held
        return self.held if self.usable(now) else None

    def newest_but(self, used: Any, read: Callable[[Held], Any]) -> Held | None:
        """Return the newest value, unless it reads like `used`."""
        return if_other(self.newest, used, read)

    def previous_but(self, used: Any, read: Callable[[Held], Any], now: float) -> Held | None:
        """Return the predecessor while it is kept, unless it reads like `used`."""
        if self._previous is None:
            return None
        held, until = self._previous
        return if_other(held, used, read) if now < until and held.usable(now) else None

    def all(self, now: float) -> list[Held]:
        """Return every value that may be in use: pinned, serving, on trial, and the predecessor."""
        found = [self.pinned(now), self.held, None if self.trial is None else self.trial.held]
        if self._previous is not None and now < self._previous[1]:
            found.append(self._previous[0])
        return [held for held in found if held is not None]

    # -- the service judges -----------------------------------------------------------------------

    def accepted(self, document: Document, now: float, *, overlap: float) -> bool:
        """Note that the service accepted a document; return whether it is the one that serves."""
        # By content: a request may outlast a refresh that brought the same value again.
        if self.trial is not None and self.trial.held.document.same_content(document):
            self._promote(self.trial.held, now + overlap)
        if self.held is None or not self.held.document.same_content(document):
            return False
        self.proven = self.held.document
        return True

    def refused(self, used: Any, read: Callable[[Held], Any]) -> tuple[Held | None, bool]:
        """Note that the service refused `used`.

        Returns:
            What serves in its place, where `used` is on trial, and whether that is news.
        """
        trial = self.trial
        if trial is None or read(trial.held) != used:
            return None, False
        news, trial.refused = not trial.refused, True
        return if_other(self.held, used, read), news

    # -- within -----------------------------------------------------------------------------------

    def _renew(self, fresh: Held) -> None:
        """The same value came again, or the first one, or a bad one was taken back."""
        if self.held is not None and self.proven is self.held.document:
            self.proven = fresh.document
        self.trial = None
        self._serve(fresh)

    def _promote(self, fresh: Held, previous_until: float) -> None:
        """Let a new value serve, and keep its predecessor for a while."""
        if self.held is not None:
            self._previous = (self.held, previous_until)
        self.trial = None
        self._serve(fresh)

    def _settle(self, fresh: Held) -> None:
        self.trial = self.pin = self._previous = None
        self._serve(fresh)

    def _serve(self, held: Held) -> None:
        self.held = held
        self._set_fresh_until()

    def _set_fresh_until(self) -> None:
        newest, trial, held = self.newest, self.trial, self.held
        until = -math.inf if newest is None or held is None else newest.limits.soft
        if self.pin is not None:
            until = -math.inf  # `held` is not what serves
        elif trial is not None and held is not None:
            until = min(until, trial.at, held.limits.hard)
        self.fresh_until = until


def _sooner(held: Held, limits: Limits) -> Held:
    """Return a value that becomes stale and expires no later than `limits`."""
    mine = held.limits
    sooner = Limits(min(mine.soft, limits.soft), min(mine.hard, limits.hard))
    return replace(held, limits=sooner)


def if_other(held: Held | None, used: Any, read: Callable[[Held], Any]) -> Held | None:
    """Return a value, unless it reads like `used`, or not at all."""
    found = None if held is None else read(held)
    return held if found is not None and found != used else None
