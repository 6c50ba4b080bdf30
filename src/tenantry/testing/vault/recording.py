"""What was asked of the server, without a secret: the record behind `requests` and `count`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tenantry.testing.vault.mounts import Mount

Operation = Literal[
    "read",
    "list",
    "write",
    "delete",
    "login",
    "renew",
    "lookup",
    "create",
    "revoke",
    "mint",
    "unwrap",
    "configure",
    "other",
]

_SPECIAL: tuple[tuple[str, Operation], ...] = (
    ("auth/token/renew", "renew"),
    ("auth/token/lookup", "lookup"),
    ("auth/token/revoke", "revoke"),
    ("auth/token/create", "create"),
    ("sys/leases/renew", "renew"),
    ("sys/renew", "renew"),
    ("sys/leases/revoke", "revoke"),
    ("sys/revoke", "revoke"),
    ("sys/leases/lookup", "lookup"),
    ("sys/wrapping/unwrap", "unwrap"),
    ("sys/wrapping/lookup", "lookup"),
)
_KEY_VALUE: dict[str, Operation] = {
    "read": "read",
    "list": "list",
    "write": "write",
    "delete": "delete",
}


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """One answered request; `sequence` counts arrivals from 1, `received_at` is an epoch.

    `path` is what follows `/v1/` and the namespace. `caller` tells who asked without the token:
    its accessor, or `root`, `batch`, `none`, `wrapping`, `unknown`.
    """

    sequence: int
    received_at: float
    method: str
    path: str
    namespace: str
    caller: str
    operation: Operation
    status: int


class Recorder:
    """The requests of one server, oldest answer first; the caller holds the server's lock."""

    def __init__(self) -> None:
        self._arrived = 0
        self._requests: list[RecordedRequest] = []
        self._counts: Counter[tuple[Operation, int]] = Counter()

    def arrive(self) -> int:
        """Give the next request its number."""
        self._arrived += 1
        return self._arrived

    def add(self, request: RecordedRequest) -> None:
        self._requests.append(request)
        self._counts[request.operation, request.status] += 1

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        return tuple(self._requests)

    def count(self, operation: Operation, status: int | None = None) -> int:
        return sum(
            number
            for (each, got), number in self._counts.items()
            if each == operation and status in {None, got}
        )

    def clear(self) -> None:
        """Forget all requests; sequence numbers go on."""
        self._requests.clear()
        self._counts.clear()


def operation_of(path: str, operation: str, mount: Mount | None) -> Operation:
    """Name what a request is for, given the mount that it goes to."""
    for prefix, special in _SPECIAL:
        if path.startswith(prefix):
            return special
    if mount is not None and mount.is_login(path) and operation == "write":
        return "login"
    kind = None if mount is None else mount.kind
    if kind == "kv":
        return _KEY_VALUE.get(operation, "other")
    if kind in {"database", "pki"} and ("/creds/" in path or "/issue/" in path):
        return "mint"
    return "configure" if operation in {"write", "delete"} else "other"
