"""Clones by their options: each made once, handed out again, and never many of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from tenantry.clients.http import httpx
from tenantry.clients.options import checked

if TYPE_CHECKING:
    import threading

    from openai import AsyncOpenAI, OpenAI

C = TypeVar("C", bound="OpenAI | AsyncOpenAI")

KEPT = 16  # of each client: a header that is another one in every request must not keep them all


class Clones(Generic[C]):
    """What `with_options` made of one client; lives as long as the registry holds the client.

    Args:
        client: what is cloned.
        lock: guards changes; reading takes none.
    """

    def __init__(self, client: C, lock: threading.Lock) -> None:
        self._client = client
        self._lock = lock
        self._made: dict[object, C] = {}

    def get(self, options: Mapping[str, Any]) -> C:
        """Return the clone with these options, made now where there is none.

        Raises:
            OptionNotAllowedError: naming the option and those that are allowed.
        """
        said: object = tuple(options.items())
        try:
            clone = self._made.get(said)
        except TypeError:  # a mapping, or what else cannot be looked up
            said = _told_apart(options)
            clone = None if said is None else self._made.get(said)
        return clone or self._cloned(options, said)

    def _cloned(self, options: Mapping[str, Any], said: object) -> C:
        checked(options)
        clone = cast("C", self._client.with_options(**options))
        if said is None:
            return clone
        with self._lock:
            if len(self._made) >= KEPT:
                self._made.pop(next(iter(self._made)))
            return self._made.setdefault(said, clone)


def _told_apart(options: Mapping[str, Any]) -> object:
    """Return what tells options from others; None where they hold what nobody can look up."""
    said = tuple((name, _frozen(value)) for name, value in options.items())
    try:
        hash(said)
    except TypeError:
        return None
    return said


def _frozen(value: object) -> object:
    if isinstance(value, Mapping):
        # 1, 1.0 and True are equal, and not the same in a query.
        return tuple((name, type(said), said) for name, said in value.items())
    if isinstance(value, httpx.Timeout):
        return tuple(value.as_dict().items())
    return value
