"""Response wrapping: a reply put away under a token that shows it once."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from tenantry.testing.vault import identifiers, times
from tenantry.testing.vault.envelope import Json, RefusedError, Reply, envelope


@dataclass(frozen=True, slots=True)
class WrappedReply:
    """A reply that waits to be unwrapped, for `ttl` seconds from `created` on."""

    body: Json = field(repr=False)
    path: str
    created: float
    ttl: int

    def alive(self, now: float) -> bool:
        return now < self.created + self.ttl

    def described(self) -> Json:
        return {"creation_path": self.path, "creation_time": times.timestamp(self.created)}


class Wrappings:
    """Every wrapped reply by its token."""

    def __init__(self) -> None:
        self._replies: dict[str, WrappedReply] = {}

    def __contains__(self, token: str) -> bool:
        return token in self._replies

    def put(self, body: Json, path: str, ttl: int, now: float) -> str:
        """Put a reply's body away for `ttl` seconds and return the token that gives it back."""
        token = identifiers.service_token()
        self._replies[token] = WrappedReply(body, path, now, ttl)
        return token

    def wrap(self, body: Json, path: str, ttl: int, now: float) -> Reply:
        """Put a reply's body away and answer with where it went."""
        token = self.put(body, path, ttl, now)
        info: Json = {"token": token, "accessor": identifiers.accessor(), "ttl": ttl}
        if body.get("auth"):
            info["wrapped_accessor"] = body["auth"]["accessor"]
        told = {"request_id": "", "wrap_info": info | self._replies[token].described()}
        return Reply(200, envelope(None) | told)

    def look_up(self, token: str, now: float) -> Json:
        wrapped = self._find(token, now)
        return {**wrapped.described(), "creation_ttl": wrapped.ttl}

    def unwrap(self, token: str, now: float) -> Reply:
        """Return what was wrapped and forget it."""
        wrapped = self._find(token, now)
        del self._replies[token]
        return Reply(200, {**wrapped.body, "request_id": str(uuid.uuid4())})

    def _find(self, token: str, now: float) -> WrappedReply:
        wrapped = self._replies.get(token)
        if wrapped is None or not wrapped.alive(now):
            raise RefusedError(400, "wrapping token is not valid or does not exist")
        return wrapped
