"""KV version 1: one value per path, no history."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from tenantry.testing.vault import times
from tenantry.testing.vault.envelope import Json, RefusedError, Reply, no_content, secret
from tenantry.testing.vault.tokens import SYSTEM_TTL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tenantry.testing.vault.mounts import Call


class KeyValue(ABC):
    """What KV 1 and KV 2 have in common for the controls; KV 1 heeds neither time nor versions."""

    @abstractmethod
    def handle(self, call: Call) -> Reply:
        """Answer one call."""

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Whether a write to `path` needs the capability `update` rather than `create`."""

    @abstractmethod
    def put(self, path: str, data: Mapping[str, Any], now: float) -> int:
        """Write a value and return the number of its version, 0 where there is none."""

    @abstractmethod
    def delete(self, path: str, now: float, versions: Iterable[int] = ()) -> None:
        """Delete a value, or versions of it; absent ones are ignored."""


class KeyValue1(KeyValue):
    """The values of one KV 1 mount."""

    def __init__(self) -> None:
        self._values: dict[str, Json] = {}

    def handle(self, call: Call) -> Reply:
        path = call.path.strip("/")
        match call.operation:
            case "read":
                return self._read(path)
            case "list":
                return listing(self._values, path)
            case "write":
                return self._write(path, call)
            case "delete":
                self.delete(path, call.now)
                return no_content()
            case _:
                raise RefusedError(405, "unsupported operation")

    def exists(self, path: str) -> bool:
        return path in self._values

    def put(self, path: str, data: Mapping[str, Any], now: float) -> int:  # noqa: ARG002
        self._values[path] = dict(data)
        return 0

    def delete(self, path: str, now: float, versions: Iterable[int] = ()) -> None:  # noqa: ARG002
        self._values.pop(path, None)

    def _read(self, path: str) -> Reply:
        if path not in self._values:
            raise RefusedError(404)
        data = self._values[path]
        # A field named `ttl` is only advice, and the one thing that KV 1 reads in a value.
        return secret(data, lease_duration=times.seconds(data.get("ttl"), SYSTEM_TTL))

    def _write(self, path: str, call: Call) -> Reply:
        if not call.body:
            raise RefusedError(400, "missing data fields")
        self.put(path, call.body, call.now)
        return no_content()


def listing(paths: Iterable[str], folder: str) -> Reply:
    """List the names directly below `folder`; a folder's own name ends with a slash."""
    prefix = f"{folder.strip('/')}/".lstrip("/")
    names = {_first(path.removeprefix(prefix)) for path in paths if path.startswith(prefix)}
    if not names:
        raise RefusedError(404)
    return secret({"keys": sorted(names)})


def _first(path: str) -> str:
    name, slash, _ = path.partition("/")
    return name + slash
