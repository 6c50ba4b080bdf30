"""Which operation of which API does a path name?"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from urllib.parse import unquote


class Surface(Enum):
    """The API whose paths, rules and error wording apply."""

    OPENAI = "v1"
    AZURE = "openai"
    AZURE_DEPLOYMENT = "openai/deployments"
    AZURE_V1 = "openai/v1"
    TOKEN = "oauth/token"

    @property
    def is_azure(self) -> bool:
        return self in (Surface.AZURE, Surface.AZURE_DEPLOYMENT, Surface.AZURE_V1)

    @property
    def needs_api_version(self) -> bool:
        return self in (Surface.AZURE, Surface.AZURE_DEPLOYMENT)


@dataclass(frozen=True, slots=True)
class Route:
    """What a path asks for: `operation` is a template such as `files/{id}`, `item` its id."""

    surface: Surface
    operation: str
    item: str | None = None
    deployment: str | None = None


TOKEN_EXCHANGE = "oauth/token"

_COMMON = frozenset(
    {
        "responses",
        "models",
        "models/{id}",
        "files",
        "files/{id}",
        "files/{id}/content",
    }
)
_BY_MODEL = frozenset({"chat/completions", "embeddings"})
_OFFERED = {
    Surface.OPENAI: _COMMON | _BY_MODEL | {"organization/projects"},
    Surface.AZURE_V1: _COMMON | _BY_MODEL,
    Surface.AZURE: _COMMON,
    Surface.AZURE_DEPLOYMENT: _BY_MODEL,
    Surface.TOKEN: frozenset({TOKEN_EXCHANGE}),
}

# The prefix is lazy, and a surface must be followed by an operation: so a gateway path such as
# /tenants/v1/v1/models is a prefix and a surface, and /openai/v1 is never a prefix "/openai".
_PATH = re.compile(
    r"(?P<prefix>(?:/.*?)??)/(?:"
    r"(?P<token>oauth/token)|"
    r"(?:openai/deployments/(?P<deployment>[^/]+)|(?P<surface>openai/v1|openai|v1))/"
    r"(?P<operation>chat/completions|responses|embeddings|organization/projects|models|files)"
    r"(?:/(?P<item>[^/]+)(?P<content>/content)?)?)"
)

_SOCKET_PATH = re.compile(
    r"(?P<prefix>(?:/.*?)??)/(?P<surface>openai/v1|openai|v1)/(?:"
    r"(?P<operation>realtime|realtime/translations|responses|live/sessions)|"
    r"live/sessions/(?P<item>[^/]+)/(?P<action>attach|fork))"
)


@lru_cache(maxsize=1024)
def find_route(path: str) -> Route | None:
    """Read a path as it was sent (percent-encoded), below any prefix; None for an unknown one."""
    match = _PATH.fullmatch(path)
    if match is None:
        return None
    route = _route(match)
    return route if route.operation in _OFFERED[route.surface] else None


@lru_cache(maxsize=1024)
def find_socket_route(path: str) -> Route | None:
    """Do what `find_route` does, for the paths at which WebSockets are opened."""
    match = _SOCKET_PATH.fullmatch(path)
    if match is None:
        return None
    surface, item = Surface(match["surface"]), match["item"]
    if item is None:
        return Route(surface, match["operation"])
    return Route(surface, f"live/sessions/{{id}}/{match['action']}", unquote(item))


def _route(match: re.Match[str]) -> Route:
    if match["token"]:
        return Route(Surface.TOKEN, TOKEN_EXCHANGE)
    item, deployment = match["item"], match["deployment"]
    return Route(
        surface=Surface.AZURE_DEPLOYMENT if deployment else Surface(match["surface"]),
        operation=match["operation"] + ("/{id}" if item else "") + (match["content"] or ""),
        item=unquote(item) if item else None,
        deployment=unquote(deployment) if deployment else None,
    )
