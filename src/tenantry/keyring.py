"""Every document of one registry, kept once: who needs it, and how often it is fetched again."""

from __future__ import annotations

import functools
import threading
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from tenantry.events import (
    CredentialPinned,
    CredentialUnpinned,
    Event,
    EventStream,
    RefreshFailed,
    SecretRefreshed,
    SecretRejected,
    SecretRotated,
)
from tenantry.forks import survives_fork
from tenantry.freshness import RefreshPolicy
from tenantry.keeper import Keeper
from tenantry.refresher import Refresher

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Iterator

    from tenantry.breaker import Breaker
    from tenantry.flight import Change, Fetch
    from tenantry.holding import Held
    from tenantry.secret import Document

    Place: TypeAlias = tuple[Hashable, Hashable]  # a source, and what tells its documents apart


@dataclass(slots=True)
class _Kept:
    """A document's keeper, its source's name, and the limits of everybody who needs it, by name."""

    keeper: Keeper
    source: str
    needs: dict[str, RefreshPolicy] = field(default_factory=dict[str, RefreshPolicy])


class Keyring:
    """Every document by source and locator, each kept once; lives as long as the registry."""

    def __init__(self, events: EventStream, refresher: Refresher | None = None) -> None:
        self._refresher = Refresher() if refresher is None else refresher
        self._events = events
        self._kept: dict[Place, _Kept] = {}
        self.after_fork()
        survives_fork(self)
        # Its thread would keep a schedule alive that nobody can reach any more.
        weakref.finalize(self._refresher, self._refresher.schedule.close).atexit = False
        self.schedule = self._refresher.schedule
        self.submit = self._refresher.submit

    def after_fork(self) -> None:
        """Take a new lock: the thread that may have held the old one is gone."""
        self._lock = threading.Lock()  # guards _kept

    def keeper(
        self,
        source: Hashable,
        locator: Hashable,
        policy: RefreshPolicy,
        fetch: Fetch,
        *,
        tenant: str,
        name: str = "",
        lane: str = "",
        breaker: Breaker | None = None,
    ) -> Keeper:
        """Return the one keeper of a document, made on first request.

        Args:
            source: whatever stands for the source.
            locator: what tells one document of it from another.
            policy: the limits of who asks; those who share a document share the smallest.
            fetch: asks the source.
            tenant: who needs the document, until `release`.
            name: the source's name, for people.
            lane: where it is fetched; the source's name by default.
            breaker: the source's, where it is far away.
        """
        name = name or str(source)
        with self._lock:
            kept = self._kept.get((source, locator))
            if kept is None:
                keeper = Keeper(
                    fetch,
                    self._refresher,
                    lane or name,
                    policy,
                    clock=self.schedule.clock,
                    on_change=functools.partial(_report, self._events, name, tenant),
                    breaker=breaker,
                )
                self._kept[source, locator] = _Kept(keeper, name, {tenant: policy})
                return keeper
            before = kept.needs.get(tenant)
            if before != policy:
                kept.needs[tenant] = policy if before is None else before.tightened(policy)
                kept.keeper.obey(kept.keeper.policy.tightened(policy))
            return kept.keeper

    def release(self, tenant: str, places: Iterable[Place]) -> None:
        """Note that a tenant does not need documents any more, as far as anybody asked for them."""
        with self._lock:
            for place in places:
                kept = self._kept.get(place)
                if kept is not None:
                    _relax(kept, kept.needs.pop(tenant, None))

    def drop_unneeded(self, places: Iterable[Place]) -> list[Keeper]:
        """Let go of the documents that nobody needs, and return their keepers.

        Who holds a credential of one goes on using it.
        """
        with self._lock:
            unneeded = [
                place
                for place in set(places)
                if place in self._kept and not self._kept[place].needs
            ]
            return [self._kept.pop(place).keeper for place in unneeded]

    def drop_empty(self, places: Iterable[Place]) -> list[Keeper]:
        """Let go of documents that were never fetched, and return their keepers.

        Who comes later finds a new one.
        """
        with self._lock:
            found = [place for place in places if place in self._kept]
            empty = [place for place in found if self._kept[place].keeper.empty]
            return [self._kept.pop(place).keeper for place in empty]

    def drop_sources(self, gone: Collection[Hashable]) -> None:
        """Let go of all documents of some sources."""
        with self._lock:
            for place in [place for place in self._kept if place[0] in gone]:
                del self._kept[place]

    def kept(self, place: Place) -> Keeper | None:
        """Return the keeper of a document, None where nobody asked for it."""
        kept = self._kept.get(place)
        return None if kept is None else kept.keeper

    def users(self) -> set[str]:
        """Return the names of everybody who needs a document that was asked for."""
        with self._lock:
            asked = [kept for kept in self._kept.values() if not kept.keeper.empty]
            return {name for kept in asked for name in kept.needs}

    def expiries(self) -> list[tuple[str, str, float]]:
        """Return who needs a document that is held, its source, and seconds until it expires.

        What expired unread is left out: the next who reads it has it fetched.
        """
        with self._lock:
            held = [(kept, list(kept.needs)) for kept in self._kept.values()]
        return [
            (name, kept.source, left)
            for kept, names in held
            for left in _left(kept.keeper)
            for name in names
        ]

    def has(self, place: Place) -> bool:
        """Whether anybody asked for a document."""
        return place in self._kept

    def close(self) -> None:
        self._refresher.close()


def _report(events: EventStream, source: str, tenant: str, change: Change) -> None:
    for event in _events(change, source, tenant):
        events.publish(event)


def _left(keeper: Keeper) -> Iterator[float]:
    held = keeper.held
    if held is not None:
        left = held.limits.hard - keeper.clock()
        if left > 0 or keeper.in_use:
            yield left


def _relax(kept: _Kept, released: RefreshPolicy | None) -> None:
    """Let a keeper obey only those who still need it."""
    if released is None or not kept.needs or released == next(iter(kept.needs.values())):
        return  # mostly all have the same limits, and there may be thousands
    kept.keeper.obey(functools.reduce(RefreshPolicy.tightened, set(kept.needs.values())))


def _events(change: Change, source: str, tenant: str) -> Iterator[Event]:
    if change.error is not None:
        yield RefreshFailed(
            tenant,
            source=source,
            reason=str(change.error),
            failure=change.error.failure.value,
            retry_in=change.retry_in,
            usable=change.usable,
            seconds=change.seconds or 0.0,
        )
    elif change.held is not None and change.pin:
        yield _of_pin(change.held, change.pin, source, tenant)
    elif change.held is not None:
        yield from _news(change, change.held.document, source, tenant)


def _of_pin(held: Held, pin: str, source: str, tenant: str) -> Event:
    version = held.document.version
    if pin == "pinned":
        seconds = held.limits.hard - held.got
        return CredentialPinned(tenant, source=source, version=version, seconds=seconds)
    return CredentialUnpinned(tenant, source=source, version=version, reason=pin)


def _news(change: Change, document: Document, source: str, tenant: str) -> Iterator[Event]:
    before = None if change.previous is None else change.previous.document
    version = document.version
    if change.seconds is not None:
        changed = before is not None
        yield SecretRefreshed(tenant, source, version, seconds=change.seconds, changed=changed)
    if before is None:
        return
    if change.rejected:
        yield SecretRejected(
            tenant,
            source=source,
            version=version,
            fingerprint=document.fingerprint,
            fell_back_to=before.version,
        )
    else:
        yield SecretRotated(tenant, source=source, version=version, previous_version=before.version)
