"""An application's own resolver takes its place in the endpoints that ask for a tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, routing
from fastapi.dependencies.utils import get_dependant

from tenantry.integrations.fastapi.answers import answer_errors, answers
from tenantry.integrations.fastapi.dependencies import resolved, tenant_name
from tenantry.integrations.web import PROBLEM_JSON

if TYPE_CHECKING:
    from collections.abc import Iterable
    from http import HTTPStatus

    from fastapi.dependencies.models import Dependant

    from tenantry.integrations.fastapi.installation import Installation, Resolver


class Routes:
    """The routes of one installed application, and of those that are mounted in it.

    FastAPI reads endpoints when they are declared, often before an application is there. So what
    they ask of us leads to `resolved`, in whose place the application's resolver is put: with the
    endpoint's other dependencies it is solved once, and described in OpenAPI.
    """

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._seen = 0

    def bind(self) -> None:
        """Put the resolver into routes that came since the last time."""
        count = len(self._installation.app.router.routes)
        if count != self._seen:
            self._bind_all(self._installation.app.routes)
            self._seen = count

    def _bind_all(self, routes: Iterable[Any]) -> None:
        for route in _effective(routes):
            self._bind(route)
            self._bind_mounted(_mounted(route))

    def _bind(self, route: Any) -> None:
        dependant, resolver = getattr(route, "dependant", None), self._installation.resolver
        if dependant is None:
            return
        if _bound(dependant, resolver, route.path_format) and resolver is not None:
            _document(route, self._installation.unknown)

    def _bind_mounted(self, mounted: Any) -> None:
        if isinstance(mounted, FastAPI):
            if not self._is_ours(mounted):
                return
            answer_errors(mounted)
        self._bind_all(getattr(mounted, "routes", ()))

    def _is_ours(self, mounted: FastAPI) -> bool:
        """Whether no `install` was called for a mounted application itself.

        Raises:
            RuntimeError: it belongs to another application already, with a resolver of its own.
        """
        owner = getattr(mounted.state, "tenantry", self._installation)
        mounted.state.tenantry = owner
        if owner is not self._installation and owner.app is not mounted:
            raise RuntimeError(_MOUNTED_TWICE)
        return owner is self._installation


def _bound(dependant: Dependant, resolver: Resolver | None, path: str) -> bool:
    """Put the resolver into all that is below; return whether anything there asks for a tenant.

    Raises:
        RuntimeError: the resolver of another application stands there.
    """
    if dependant.call is tenant_name:
        _put(resolver, dependant, path)
        return True
    below = [_bound(each, resolver, path) for each in dependant.dependencies]
    return any(below)


def _put(resolver: Resolver | None, asking: Dependant, path: str) -> None:
    [asked] = asking.dependencies
    if asked.call not in (resolved, resolver):
        raise RuntimeError(_ROUTED_TWICE)
    if asked.call is resolved and resolver is not None:
        asking.dependencies[:] = [get_dependant(path=path, call=resolver, name=asked.name)]


def _effective(routes: Iterable[Any]) -> Iterable[Any]:
    """Return routes as they are served, with the prefixes and dependencies of their routers."""
    contexts: Any = getattr(routing, "iter_route_contexts", iter)  # older ones are copies
    found: Iterable[Any] = contexts(routes)
    return found


def _mounted(route: Any) -> Any:
    """Return what a route leads to, without middleware around it, which calls that `app`."""
    found: Any = getattr(route, "app", None)
    while not hasattr(found, "routes") and hasattr(found, "app"):
        found = found.app
    return found


def _document(route: Any, unknown: HTTPStatus) -> None:
    if hasattr(route, "responses"):
        for answer in answers(unknown):
            content = {PROBLEM_JSON: {"schema": _PROBLEM}}
            said = {"description": answer.detail, "content": content}
            route.responses.setdefault(int(answer.status), said)


_PROBLEM = {
    "title": "Problem",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}
_ROUTED_TWICE = (
    "a route is served by two applications that tenantry is installed in, and would ask the other"
    " one's resolver whose request it is: declare it in a router, and let each include_router() it"
)
_MOUNTED_TWICE = (
    "an application is mounted in two others that tenantry is installed in, and would have to ask"
    " two resolvers whose request it is: mount an application of its own in each"
)
