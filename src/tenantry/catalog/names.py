"""The names of an engine's tenants, of which there may be a million."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tenantry.catalog.engine import Engine

PAGE = 1_000


class EngineNames(Collection[str]):
    """Everybody's name, sorted; iterating reads one page after another, and holds one."""

    def __init__(self, engine: Engine, has: Callable[[str], bool], timeout: float) -> None:
        self._engine = engine
        self._has = has
        self._timeout = timeout

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._has(name)

    def __len__(self) -> int:
        return self._engine.count(self._timeout)

    def __iter__(self) -> Iterator[str]:
        after = ""
        while page := self._engine.names(after, PAGE, self._timeout):
            yield from page
            after = page[-1]
