"""How a request reaches the function that answers it, once a mount was found for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from tenantry.testing.vault.envelope import RefusedError, Reply, aggregated

if TYPE_CHECKING:
    from tenantry.testing.vault.mounts import Call

Handler = Callable[..., Reply]


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
