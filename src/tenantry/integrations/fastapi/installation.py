"""What an application was installed with, and what one request of it is served with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from tenantry.context import use_tenant
from tenantry.registry import ClientRegistry

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator, Mapping
    from http import HTTPStatus

    from fastapi import FastAPI
    from fastapi.requests import HTTPConnection

    from tenantry.catalog import Catalog
    from tenantry.loading import Config

    Opened: TypeAlias = Config | Catalog | ClientRegistry | None

# An ordinary dependency that returns the name of a request's tenant, or None where it names none.
Resolver: TypeAlias = Callable[..., Any]

_KEY = "tenantry"


class Installation:
    """One application's registry and resolver; lives as long as the application.

    The registry lives from the start of the application's lifespan to its end. One that was opened
    by somebody else is used, and left open.
    """

    def __init__(
        self,
        app: FastAPI,
        config: Opened,
        resolver: Resolver | None,
        *,
        environ: Mapping[str, str] | None,
        unknown: HTTPStatus,
    ) -> None:
        self.app = app
        self.resolver = resolver
        self.unknown = unknown
        self._config = config
        self._environ = environ
        self._registry = config if isinstance(config, ClientRegistry) else None

    @property
    def registry(self) -> ClientRegistry:
        """The registry; a closed one after the application's end.

        Raises:
            RuntimeError: the application's lifespan did not run.
        """
        if self._registry is None:
            raise RuntimeError(_NOT_STARTED)
        return self._registry

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[ClientRegistry]:
        """Keep the registry open inside the block."""
        if isinstance(self._config, ClientRegistry):
            yield self._config
            return
        self._registry = ClientRegistry.open(self._config, environ=self._environ)
        async with self._registry as registry:
            yield registry

    @contextmanager
    def replaced(self, registry: ClientRegistry) -> Generator[ClientRegistry]:
        """Serve with another registry inside the block."""
        before = self._config, self._registry
        self._config = self._registry = registry
        try:
            yield registry
        finally:
            self._config, self._registry = before


@dataclass(slots=True)
class Serving:
    """What one request, or one WebSocket, is served with; ends when its response is sent."""

    installation: Installation
    stack: AsyncExitStack
    claimed: str | None = None  # by the request itself, authorized or not
    tenant: str | None = None

    def enter(self, tenant: str) -> None:
        """Make `tenant` the current one for what is left of the request, streams included."""
        self.stack.enter_context(use_tenant(tenant))
        self.tenant = tenant

    def put(self, scope: Any) -> None:
        """Leave it where `serving` finds it, in mounted applications too."""
        scope[_KEY] = self


def serving(connection: HTTPConnection) -> Serving:
    """Return what a request is served with.

    Raises:
        RuntimeError: no application that it passed through has been installed.
    """
    found = connection.scope.get(_KEY)
    if not isinstance(found, Serving):
        raise RuntimeError(_NOT_INSTALLED)  # noqa: TRY004  # the application is wrong, no argument
    return found


def installation_of(app: FastAPI) -> Installation:
    """Return what `install` left with an application.

    Raises:
        RuntimeError: it was not called for this one.
    """
    found = getattr(app.state, _KEY, None)
    if not isinstance(found, Installation):
        raise RuntimeError(_NOT_INSTALLED)  # noqa: TRY004  # the application is wrong, no argument
    return found


_NOT_INSTALLED = (
    "tenantry is not installed in this application: call install(app, config, tenant=...) of"
    " tenantry.integrations.fastapi for it, or for the application that it is mounted in"
)
_NOT_STARTED = (
    "there is no registry yet: it is opened by the application's lifespan, which did not run."
    " Servers run the lifespan of the outermost application only, so that is the one to install"
    " tenantry in; in tests it runs inside `with TestClient(app) as client:`"
)
