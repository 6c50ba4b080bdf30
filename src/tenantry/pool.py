"""Built once per key, shared by all who ask, evicted without harm to those who hold it."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

from tenantry.forks import survives_fork

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")


class Pool(Generic[K, V]):
    """Values by key, each built on first use, once, under a lock that only its own key waits for.

    Reading a built value takes no lock. Building never holds the pool's lock, so a slow key does
    not hold up another. A build that fails leaves nothing behind: the next caller tries again.
    """

    def __init__(self) -> None:
        self.built: dict[K, V] = {}  # read without a lock: a dict's get is atomic
        self.after_fork()
        survives_fork(self)

    def after_fork(self) -> None:
        """Take new locks: in a forked child, the thread that held the old ones is gone."""
        self._lock = threading.Lock()  # guards _building and writes to built
        self._building: dict[K, threading.Lock] = {}

    def get(self, key: K, build: Callable[[], V]) -> V:
        """Return the key's value, building it with `build` where there is none.

        Raises:
            Exception: whatever `build` raises.
        """
        with suppress(KeyError):
            return self.built[key]
        with self._lock:
            turn = self._building.setdefault(key, threading.Lock())
        with turn:
            with suppress(KeyError):  # not "if key in": it may be evicted in between
                return self.built[key]
            return self._build(key, build)

    def evict(self, key: K, value: V | None = None) -> V | None:
        """Forget the key's value, if it is `value`, and return it; who holds it keeps it."""
        with self._lock:
            if value is not None and self.built.get(key) is not value:
                return None
            return self.built.pop(key, None)

    def clear(self) -> list[V]:
        """Forget everything and return what was held."""
        with self._lock:
            values = list(self.built.values())
            self.built.clear()
        return values

    def _build(self, key: K, build: Callable[[], V]) -> V:
        try:
            value = build()
            with self._lock:
                # After a failed build two waiters may build side by side: the first one counts.
                return self.built.setdefault(key, value)
        finally:
            with self._lock:
                self._building.pop(key, None)

    def items(self) -> list[tuple[K, V]]:
        """Return every key with its value.

        Not `list(built.items())`: the pairs are made one by one, and meanwhile another thread may
        build or evict.
        """
        return list(self.built.copy().items())

    def __iter__(self) -> Iterator[K]:
        return iter(list(self.built))

    def __len__(self) -> int:
        return len(self.built)
