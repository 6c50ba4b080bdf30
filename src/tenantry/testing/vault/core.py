"""The way of every request: seal, standby, namespace, quota, token, policy, engine, wrapping."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from tenantry.testing.vault import status, times
from tenantry.testing.vault.envelope import (
    PERMISSION_DENIED,
    Json,
    RefusedError,
    Reply,
    aggregated,
)
from tenantry.testing.vault.mounts import Call, Engine, Namespace, slashed
from tenantry.testing.vault.policies import capabilities
from tenantry.testing.vault.system import System
from tenantry.testing.vault.token_auth import TokenAuth

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tenantry.testing.vault.state import VaultState
    from tenantry.testing.vault.tokens import Token

_OPERATIONS = {
    "GET": "read",
    "HEAD": "read",
    "LIST": "list",
    "POST": "write",
    "PUT": "write",
    "DELETE": "delete",
    "PATCH": "patch",
}
_SEALED = "Vault is sealed"


@dataclass(frozen=True, slots=True)
class VaultRequest:
    """One HTTP request: `path` is what follows `/v1/`, `target` the path and query as sent."""

    method: str
    path: str
    target: str = ""
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Json = field(default_factory=dict[str, object], repr=False)
    token: str | None = field(default=None, repr=False)
    namespace: str = ""
    wrap_ttl: str | None = None

    @property
    def operation(self) -> str:
        # hvac spells it `True`, curl users `true`: Vault reads both.
        if self.method == "GET" and self.query.get("list", "").lower() in {"true", "1", "t"}:
            return "list"
        return _OPERATIONS.get(self.method, self.method.lower())


class VaultCore:
    """Answers requests from state alone, without a socket; the caller holds the server's lock."""

    def __init__(self, state: VaultState, clock: Callable[[], float]) -> None:
        self._state = state
        self._clock = clock
        self._status = status.Status(state)
        self._system = System(state)
        self._token_auth = TokenAuth(state.tokens)

    def answer(self, request: VaultRequest) -> Reply:
        try:
            return self._answer(request)
        except RefusedError as refused:
            return refused.reply

    def locate(self, request: VaultRequest) -> tuple[Namespace, str]:
        """Find the namespace that header and path name together, and the rest of the path.

        A server without namespaces ignores the header, as Vault's open-source edition does.
        """
        known = self._state.namespaces
        if len(known) == 1:
            return known[""], request.path
        whole = f"{_header(request)}{request.path}"
        deepest = max((path for path in known if whole.startswith(path)), key=len)
        return known[deepest], whole.removeprefix(deepest)

    def _answer(self, request: VaultRequest) -> Reply:
        if request.path.removeprefix("sys/") in status.PATHS and request.path.startswith("sys/"):
            call = self._call(request, self._state.namespaces[""], request.path, "sys/")
            return self._status.handle(call)
        if self._state.sealed:
            prefix = "error performing token check: " if request.token else ""
            raise RefusedError(503, prefix + _SEALED)
        if self._state.standby_location is not None:
            location = self._state.standby_location.rstrip("/") + request.target
            return Reply(307, headers={"Location": location})
        namespace, path = self.locate(request)
        if len(self._state.namespaces) > 1 and _header(request) not in self._state.namespaces:
            raise RefusedError(404, f"no handler for route '{path}'")
        headers = self._state.quotas.admit(f"{namespace.path}{path}", self._clock())
        try:
            return self._served(request, namespace, path).with_headers(headers)
        except RefusedError as refused:
            return refused.reply.with_headers(headers)

    def _served(self, request: VaultRequest, namespace: Namespace, path: str) -> Reply:
        if _needs_no_token(request, namespace, path):
            reply = self._dispatched(request, namespace, path, None)
        else:
            reply = self._authenticated(request, namespace, path)
        ttl = times.seconds(request.wrap_ttl)
        if not ttl or reply.status != HTTPStatus.OK or not isinstance(reply.body, dict):
            return reply
        return self._state.wrappings.wrap(reply.body, path, ttl, self._clock())

    def _authenticated(self, request: VaultRequest, namespace: Namespace, path: str) -> Reply:
        token = self._caller(request, namespace)
        try:
            self._authorize(token, request, namespace, path)
            return self._dispatched(request, namespace, path, token)
        finally:
            self._count_use(token)

    def _caller(self, request: VaultRequest, namespace: Namespace) -> Token:
        if not request.token:
            raise RefusedError(400, "missing client token")
        token = self._state.tokens.find(request.token, self._clock())
        if token is None or not namespace.path.startswith(token.namespace):
            raise RefusedError(403, PERMISSION_DENIED)
        return token

    def _count_use(self, token: Token) -> None:
        if token.uses_left > 0:
            token.uses_left -= 1
            if token.uses_left == 0 and not token.revoked:
                self._state.tokens.revoke(token)

    def _authorize(
        self, token: Token, request: VaultRequest, namespace: Namespace, path: str
    ) -> None:
        if token.is_root or path.startswith("sys/internal/ui/mounts"):
            return
        # Policies name paths as their own namespace sees them.
        seen = namespace.path.removeprefix(token.namespace) + path
        needed = self._capability(request, namespace, path)
        policies = self._state.policies_of(token)
        spelled = [seen, f"{seen.rstrip('/')}/"] if needed == "list" else [seen]
        if not any(needed in capabilities(policies, each) for each in spelled):
            raise RefusedError(403, aggregated(PERMISSION_DENIED))

    def _capability(self, request: VaultRequest, namespace: Namespace, path: str) -> str:
        if request.operation != "write":
            return request.operation
        mount = namespace.mount_of(path)
        if mount is None or path.startswith(("sys/", "auth/")):
            return "update"
        exists = mount.engine.exists(path.removeprefix(mount.path))
        return "update" if exists else "create"

    def _dispatched(
        self, request: VaultRequest, namespace: Namespace, path: str, token: Token | None
    ) -> Reply:
        engine, mount = self._engine(namespace, path)
        return engine.handle(self._call(request, namespace, path, mount, token))

    def _engine(self, namespace: Namespace, path: str) -> tuple[Engine, str]:
        if path.startswith("sys/"):
            return self._system, "sys/"
        if path.startswith("auth/token/"):
            return self._token_auth, "auth/token/"
        mount = namespace.mount_of(path)
        if mount is None:
            raise RefusedError(404, f"no handler for route '{path}'")
        prefix = "auth/" if path.startswith("auth/") else ""
        return mount.engine, f"{prefix}{mount.path}"

    def _call(
        self,
        request: VaultRequest,
        namespace: Namespace,
        path: str,
        mount: str,
        token: Token | None = None,
    ) -> Call:
        below = path.removeprefix(mount) if path.startswith(mount) else ""
        return Call(
            operation=request.operation,
            path=below.rstrip("/"),
            mount=mount,
            namespace=namespace,
            now=self._clock(),
            query=request.query,
            body=request.body,
            token=token,
            client_token=request.token,
        )


def _header(request: VaultRequest) -> str:
    return slashed(request.namespace).removeprefix("root/")


def _needs_no_token(request: VaultRequest, namespace: Namespace, path: str) -> bool:
    # A wrapping token is all that it takes to unwrap, and it is no token of the store.
    if path in {"sys/wrapping/lookup", "sys/wrapping/unwrap"}:
        return True
    mount = namespace.mount_of(path)
    return mount is not None and mount.is_login(path) and request.operation == "write"
