"""Every request of an installed application passes here first."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from tenantry.integrations.fastapi.installation import Installation, Serving

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from tenantry.integrations.fastapi.routes import Routes


class TenancyMiddleware:
    """Says what a request is served with, and ends its current tenant when the response is sent.

    A pure ASGI one: what wraps responses in tasks of its own would lose the context of a stream.
    """

    def __init__(self, app: ASGIApp, installation: Installation, routes: Routes) -> None:
        self._app = app
        self._installation = installation
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        self._routes.bind()
        async with AsyncExitStack() as stack:
            Serving(self._installation, stack).put(scope)
            await self._app(scope, receive, send)
