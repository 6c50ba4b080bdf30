"""An application's own resolver takes its place in the endpoints that ask for a tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, routing
from fastapi.dependencies.utils import get_dependant

from tenantry.integrations.fastapi.answers import answer_errors, answers
from tenantry.integrations.fastapi.dependencies import resolved
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
            self._bind_all(self._installation.app)
            self._seen = count

    def _bind_all(self, app: FastAPI) -> None:
        for route in _effective(app.routes):
            self._bind(route)
            mounted = getattr(route, "app", None)
            if isinstance(mounted, FastAPI) and self._is_ours(mounted):
                answer_errors(mounted)
                self._bind_all(mounted)

    def _bind(self, route: Any) -> None:
        dependant, resolver = getattr(route, "dependant", None), self._installation.resolver
        if dependant is None or resolver is None:
            return
        if _bound(dependant, resolver, route.path_format):
            _document(route, self._installation.unknown)

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


def _bound(dependant: Dependant, resolver: Resolver, path: str) -> bool:
    """Put the resolver into all that is below; return whether anything there asks for a tenant."""
    found = False
    for place, each in enumerate(dependant.dependencies):
        if each.call is resolved:
            own = get_dependant(path=path, call=resolver, name=each.name)
            dependant.dependencies[place] = own
            found = True
        else:
            found |= _bound(each, resolver, path)
    return found


def _effective(routes: Iterable[Any]) -> Iterable[Any]:
    """Return routes as they are served, with the prefixes and dependencies of their routers."""
    contexts: Any = getattr(routing, "iter_route_contexts", iter)  # older ones are copies
    found: Iterable[Any] = contexts(routes)
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
_MOUNTED_TWICE = (
    "an application is mounted in two others that tenantry is installed in, and would have to ask"
    " two resolvers whose request it is: mount an application of its own in each"
)
