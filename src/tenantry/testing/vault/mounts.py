"""Namespaces, what is mounted in them, and how it is called."""

from __future__ import annotations

import uuid
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tenantry.testing.vault import identifiers
from tenantry.testing.vault.envelope import Json, RefusedError, Reply, aggregated
from tenantry.testing.vault.policies import DEFAULT_POLICY, Policy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenantry.testing.vault.tokens import Token

_BUILT_IN = {
    "sys/": ("system", "system endpoints used for control, policy and debugging"),
    "identity/": ("identity", "identity store"),
    "cubbyhole/": ("cubbyhole", "per-token private secret storage"),
}


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

    @abstractmethod
    def handle(self, call: Call) -> Reply:
        """Answer one call."""

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Whether a write to `path` needs the capability `update` rather than `create`."""


class Unsupported:
    """What stands behind a mount that is only there to be listed."""

    def handle(self, call: Call) -> Reply:  # noqa: ARG002
        raise RefusedError(404, aggregated("unsupported path"))

    def exists(self, path: str) -> bool:  # noqa: ARG002
        return True


@dataclass(frozen=True, slots=True)
class Mount:
    """An engine at a path (with a trailing slash), and what sys/mounts says about it."""

    path: str
    kind: str
    engine: Engine = field(default_factory=Unsupported)
    description: str = ""
    options: Mapping[str, str] | None = None
    accessor: str = ""
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))

    def is_login(self, path: str) -> bool:
        """Whether `path` is where this auth method lets callers in."""
        if not path.startswith("auth/") or self.kind == "token":
            return False
        return path.removeprefix(f"auth/{self.path}").partition("/")[0] == "login"

    def describe(self) -> Json:
        config: Json = {"default_lease_ttl": 0, "force_no_cache": False, "max_lease_ttl": 0}
        if self.kind == "system":
            config["passthrough_request_headers"] = ["Accept"]
        return {
            "accessor": self.accessor,
            "config": config,
            "description": self.description,
            "external_entropy_access": False,
            "local": self.kind == "cubbyhole",
            "options": None if self.options is None else dict(self.options),
            "seal_wrap": False,
            "type": self.kind,
            "uuid": self.uuid,
        }


@dataclass(slots=True)
class Namespace:
    """Mounts, auth methods and policies of one namespace; the root's path is empty.

    Paths of mounts and auth methods end with a slash; those of auth methods lack `auth/`.
    """

    path: str
    mounts: dict[str, Mount]
    auth: dict[str, Mount]
    policies: dict[str, Policy]

    @classmethod
    def fresh(cls, path: str) -> Namespace:
        """Make a namespace that has what every namespace has."""
        default = Policy.parse("default", DEFAULT_POLICY)
        return cls(path, _built_in(), {"token/": _token_auth()}, {"default": default})

    def mount_of(self, path: str) -> Mount | None:
        """Find the deepest mount that holds `path`; auth methods count as `auth/...`."""
        if path.startswith("auth/"):
            return _deepest(self.auth, path.removeprefix("auth/"))
        return _deepest(self.mounts, path)

    def add(self, mount: Mount) -> None:
        _add(self.mounts, mount)

    def add_auth(self, mount: Mount) -> None:
        _add(self.auth, mount)


def slashed(path: str) -> str:
    """Spell a mount's or a namespace's path as the tables do; the empty path stays empty."""
    stripped = path.strip("/")
    return f"{stripped}/" if stripped else ""


def _built_in() -> dict[str, Mount]:
    return {
        path: Mount(path, kind, description=text, accessor=identifiers.mount_accessor(kind))
        for path, (kind, text) in _BUILT_IN.items()
    }


def _token_auth() -> Mount:
    return Mount(
        "token/",
        "token",
        description="token based credentials",
        accessor=identifiers.mount_accessor("auth_token"),
    )


def _deepest(mounts: Mapping[str, Mount], path: str) -> Mount | None:
    # A mount's own path may be asked for without its slash: `LIST secret`.
    holding = [mount for mount in mounts if f"{path}/".startswith(mount)]
    return mounts[max(holding, key=len)] if holding else None


def _add(mounts: dict[str, Mount], mount: Mount) -> None:
    if mount.path in mounts:
        raise RefusedError(400, f"path is already in use at {mount.path}")
    mounts[mount.path] = mount
