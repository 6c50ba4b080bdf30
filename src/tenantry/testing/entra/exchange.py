"""One request and its reply as the services see them: no socket, no web framework."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

RequestKind = Literal["discovery", "token", "imds", "app_service", "key_vault"]
"""Which service a request is for."""

REQUEST_KINDS: tuple[RequestKind, ...] = get_args(RequestKind)


@dataclass(frozen=True, slots=True)
class Call:
    """A request, taken apart. Only what cannot carry a secret is in its repr."""

    kind: RequestKind
    method: str
    origin: str
    path: str
    path_params: Mapping[str, str]
    query: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    form: Mapping[str, str] = field(repr=False)

    @property
    def client_id(self) -> str | None:
        return self.form.get("client_id") or self.query.get("client_id")

    @property
    def directory_id(self) -> str | None:
        return self.path_params.get("directory_id")

    @property
    def scope(self) -> str | None:
        return self.form.get("scope") or self.query.get("resource")


@dataclass(frozen=True, slots=True)
class Reply:
    """A status with a JSON body, or with text where a gateway would answer."""

    status: int
    body: Mapping[str, object] | str = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """A request that arrived, whatever became of it; holds no secret, assertion or token.

    `scope` is what was asked for: a scope at the authority, a resource at a managed identity.
    """

    sequence: int
    kind: RequestKind
    method: str
    path: str
    client_id: str | None
    directory_id: str | None
    scope: str | None


class RequestLog:
    """Every request since the server was made, in the order of arrival."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._requests: list[RecordedRequest] = []

    def record(self, call: Call) -> None:
        with self._lock:
            self._requests.append(
                RecordedRequest(
                    sequence=len(self._requests) + 1,
                    kind=call.kind,
                    method=call.method,
                    path=call.path,
                    client_id=call.client_id,
                    directory_id=call.directory_id,
                    scope=call.scope,
                )
            )

    def snapshot(self) -> tuple[RecordedRequest, ...]:
        with self._lock:
            return tuple(self._requests)

    def count(self, kind: RequestKind) -> int:
        if kind not in REQUEST_KINDS:
            # A misspelt kind that counts 0 would make "nobody asked" true.
            message = f"no such kind of request: {kind!r}; one of {', '.join(REQUEST_KINDS)}"
            raise ValueError(message)
        return sum(request.kind == kind for request in self.snapshot())
