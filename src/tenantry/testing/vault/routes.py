"""How a request reaches the function that answers it, once a mount was found for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tenantry.testing.vault.envelope import Json, RefusedError, Reply, aggregated

if TYPE_CHECKING:
    from tenantry.testing.vault.mounts import Namespace
    from tenantry.testing.vault.tokens import Token

Handler = Callable[..., Reply]


@dataclass(frozen=True, slots=True)
class Call:
    """One request as an engine sees it; `path` starts where the engine's mount ends.

    `operation` is one of read, list, write, delete and patch. `token` is None on login endpoints.
    """

    operation: str
    path: str
    mount: str
    namespace: Namespace
    now: float
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Json = field(default_factory=dict[str, object], repr=False)
    token: Token | None = None
    client_token: str | None = field(default=None, repr=False)

    def required(self, name: str) -> str:
        """A field that the body must have."""
        if name not in self.body:
            raise RefusedError(400, f"missing {name}")
        return str(self.body[name])

    @property
    def caller(self) -> Token:
        """The token of an authenticated call."""
        if self.token is None:
            raise RefusedError(400, "missing client token")
        return self.token


class Engine(Protocol):
    """Something mounted: answers calls, raises `RefusedError` where Vault refuses."""

    def handle(self, call: Call) -> Reply:
        """Answer one call."""
        ...

    def exists(self, path: str) -> bool:
        """Whether a write to `path` needs the capability `update` rather than `create`."""
        ...


class Routes:
    """An engine's endpoints: `+` stands for one segment and `/*` for the rest, if there is one."""

    def __init__(self, *routes: tuple[str, str, Handler]) -> None:
        self._routes = [
            (operation, _compiled(pattern), handler) for operation, pattern, handler in routes
        ]

    def answer(self, call: Call) -> Reply:
        """Call the first handler that fits with the call and what its wildcards stood for."""
        status, text = 404, "unsupported path"
        for operation, pattern, handler in self._routes:
            match = pattern.fullmatch(call.path)
            if match and operation == call.operation:
                return handler(call, *match.groups(""))
            if match:
                status, text = 405, "unsupported operation"
        raise RefusedError(status, aggregated(text))


class RoutedEngine:
    """An engine that is a table of endpoints; writing to any of them is an update."""

    def __init__(self, *routes: tuple[str, str, Handler]) -> None:
        self._routes = Routes(*routes)

    def handle(self, call: Call) -> Reply:
        return self._routes.answer(call)

    def exists(self, path: str) -> bool:  # noqa: ARG002 - engines that store under paths look
        return True


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(
        re.escape(pattern).replace(r"/\*", "(?:/(.*))?").replace(r"\+", "([^/]+)"), re.DOTALL
    )
