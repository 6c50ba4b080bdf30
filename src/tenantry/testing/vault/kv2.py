"""KV version 2: every write is a version, which can be deleted, brought back and destroyed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tenantry.testing.vault import times
from tenantry.testing.vault.envelope import Json, RefusedError, Reply, no_content, secret
from tenantry.testing.vault.kv1 import KeyValue, listing
from tenantry.testing.vault.routes import Routes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tenantry.testing.vault.mounts import Call

KEPT_VERSIONS = 10
_ENDPOINTS = {"data", "metadata", "delete", "undelete", "destroy"}
_NOT_VERSIONED = (
    "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API "
    "endpoints to use. If using the Vault CLI, use 'vault kv get' for this operation."
)


@dataclass(slots=True)
class Version:
    """One version of a secret; its data is gone once it is destroyed."""

    number: int
    created: float
    data: Json | None = field(repr=False)
    deleted: float | None = None
    destroyed: bool = False

    @property
    def readable(self) -> bool:
        return self.deleted is None and not self.destroyed

    def times(self) -> Json:
        return {
            "created_time": times.timestamp(self.created),
            "deletion_time": times.timestamp_or_empty(self.deleted),
            "destroyed": self.destroyed,
        }

    def metadata(self) -> Json:
        return {**self.times(), "version": self.number}


@dataclass(slots=True)
class History:
    """The versions of one path that are still kept, by number."""

    created: float
    versions: dict[int, Version] = field(default_factory=dict[int, Version])
    current: int = 0
    updated: float = 0.0
    oldest: int = 0

    def append(self, data: Mapping[str, Any], now: float) -> Version:
        self.current += 1
        self.updated = now
        version = self.versions[self.current] = Version(self.current, now, dict(data))
        while len(self.versions) > KEPT_VERSIONS:
            del self.versions[min(self.versions)]
            self.oldest = min(self.versions)
        return version

    def metadata(self) -> Json:
        return {
            "cas_required": False,
            "created_time": times.timestamp(self.created),
            "current_version": self.current,
            "delete_version_after": "0s",
            "max_versions": 0,
            "oldest_version": self.oldest,
            "updated_time": times.timestamp(self.updated),
            "versions": {str(number): each.times() for number, each in self.versions.items()},
        }


class KeyValue2(KeyValue):
    """The secrets of one KV 2 mount; paths are those after `data/`."""

    def __init__(self) -> None:
        self._secrets: dict[str, History] = {}
        self._routes = Routes(
            ("read", "data/*", self._read),
            ("write", "data/*", self._write),
            ("delete", "data/*", self._delete_latest),
            ("read", "metadata/*", self._metadata),
            ("list", "metadata/*", self._list),
            ("delete", "metadata/*", self._forget),
            ("write", "delete/*", self._delete_versions),
            ("write", "undelete/*", self._undelete),
            ("write", "destroy/*", self._destroy),
        )

    def handle(self, call: Call) -> Reply:
        if call.path.partition("/")[0] not in _ENDPOINTS:
            return secret(None, status=404, warnings=[_NOT_VERSIONED])
        return self._routes.answer(call)

    def exists(self, path: str) -> bool:
        endpoint, _, rest = path.partition("/")
        return endpoint != "data" or rest in self._secrets

    def put(self, path: str, data: Mapping[str, Any], now: float) -> int:
        return self._append(path, data, now).number

    def delete(self, path: str, now: float, versions: Iterable[int] = ()) -> None:
        """Mark versions as deleted, the current one if none is named; absent ones are ignored."""
        for version in self._chosen(path, versions):
            if version.readable:
                version.deleted = now

    def undelete(self, path: str, versions: Iterable[int] = ()) -> None:
        for version in self._chosen(path, versions):
            version.deleted = None

    def destroy(self, path: str, versions: Iterable[int] = ()) -> None:
        """Drop the data of versions for good, of the current one if none is named."""
        for version in self._chosen(path, versions):
            version.data, version.destroyed = None, True

    def forget(self, path: str) -> None:
        """Drop a path with all its versions."""
        self._secrets.pop(path, None)

    def _chosen(self, path: str, versions: Iterable[int]) -> list[Version]:
        history = self._secrets.get(path)
        if history is None:
            return []
        numbers = set(versions) or {history.current}
        return [each for number, each in history.versions.items() if number in numbers]

    def _read(self, call: Call, path: str) -> Reply:
        number = int(times.seconds(call.query.get("version")))
        found = self._chosen(path, [number] if number else [])
        if not found:
            raise RefusedError(404)
        version = found[0]
        data = version.data if version.readable else None
        return secret(
            {"data": data, "metadata": version.metadata()}, status=200 if version.readable else 404
        )

    def _write(self, call: Call, path: str) -> Reply:
        data = call.body.get("data")
        if not isinstance(data, dict):
            raise RefusedError(400, "no data provided")
        options = call.body.get("options") or {}
        self._check_and_set(path, options.get("cas"))
        return secret(self._append(path, data, call.now).metadata())

    def _append(self, path: str, data: Mapping[str, Any], now: float) -> Version:
        return self._secrets.setdefault(path, History(now)).append(data, now)

    def _check_and_set(self, path: str, cas: object) -> None:
        history = self._secrets.get(path)
        current = 0 if history is None else history.current
        if cas is not None and cas != current:
            raise RefusedError(400, "check-and-set parameter did not match the current version")

    def _delete_latest(self, call: Call, path: str) -> Reply:
        self.delete(path, call.now)
        return no_content()

    def _delete_versions(self, call: Call, path: str) -> Reply:
        self.delete(path, call.now, _versions(call))
        return no_content()

    def _undelete(self, call: Call, path: str) -> Reply:
        self.undelete(path, _versions(call))
        return no_content()

    def _destroy(self, call: Call, path: str) -> Reply:
        self.destroy(path, _versions(call))
        return no_content()

    def _metadata(self, _call: Call, path: str) -> Reply:
        if path not in self._secrets:
            raise RefusedError(404)
        return secret(self._secrets[path].metadata())

    def _list(self, _call: Call, path: str) -> Reply:
        return listing(self._secrets, path)

    def _forget(self, _call: Call, path: str) -> Reply:
        self.forget(path)
        return no_content()


def _versions(call: Call) -> list[int]:
    given = call.body.get("versions")
    if not isinstance(given, list) or not given:
        raise RefusedError(400, "No version number provided")
    return [int(number) for number in given]
