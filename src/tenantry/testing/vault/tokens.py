"""Tokens: how long each lives, how often it may be used, and who dies with it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tenantry.testing.vault import identifiers, times
from tenantry.testing.vault.envelope import Json, RefusedError
from tenantry.testing.vault.policies import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SYSTEM_TTL = 2_764_800
"""Vault's default and largest TTL, 768 hours, in seconds."""


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What a token will be like; durations are whole seconds and 0 means that there is none."""

    policies: tuple[str, ...] = ()
    ttl: int = 0
    max_ttl: int = 0
    explicit_max_ttl: int = 0
    period: int = 0
    num_uses: int = 0
    renewable: bool = True
    kind: str = "service"
    default_policy: bool = True

    @classmethod
    def of_role(cls, body: Json) -> TokenRules:
        """Read the `token_*` fields that the roles of all auth methods have in common."""
        return cls(
            policies=words(body.get("token_policies") or body.get("policies")),
            ttl=times.seconds(body.get("token_ttl")),
            max_ttl=times.seconds(body.get("token_max_ttl")),
            explicit_max_ttl=times.seconds(body.get("token_explicit_max_ttl")),
            period=times.seconds(body.get("token_period")),
            num_uses=int(body.get("token_num_uses") or 0),
            kind=_role_kind(body),
            default_policy=not body.get("token_no_default_policy", False),
        )

    @property
    def all_policies(self) -> tuple[str, ...]:
        if ROOT in self.policies:
            return (ROOT,)
        added = {"default"} if self.default_policy else set[str]()
        return tuple(sorted({*self.policies, *added}))

    @property
    def limit(self) -> int:
        """The most seconds that a token may live, renewals included."""
        return min(each for each in (self.max_ttl, self.explicit_max_ttl, SYSTEM_TTL) if each)


@dataclass(slots=True, eq=False)
class Token:
    """One token from its creation on; `expires` is an epoch in seconds, None for root tokens."""

    id: str = field(repr=False)
    accessor: str
    rules: TokenRules
    policies: tuple[str, ...]
    namespace: str
    issued: float
    ttl: int
    expires: float | None
    display_name: str = "token"
    path: str = "auth/token/create"
    meta: dict[str, str] | None = None
    entity_id: str = ""
    parent: Token | None = field(default=None, repr=False)
    orphan: bool = True
    uses_left: int = 0
    last_renewal: float | None = None
    revoked: bool = False

    @property
    def is_root(self) -> bool:
        return ROOT in self.policies

    @property
    def is_batch(self) -> bool:
        return self.rules.kind == "batch"

    @property
    def renewable(self) -> bool:
        return self.rules.renewable and not self.is_batch and self.expires is not None

    def alive(self, now: float) -> bool:
        """Whether the token is neither revoked nor expired, and no ancestor is."""
        if self.revoked or (self.expires is not None and now >= self.expires):
            return False
        return self.parent is None or self.parent.alive(now)

    def auth(self, lease_duration: int) -> Json:
        """The `auth` part of a reply that hands the token out."""
        return {
            "client_token": self.id,
            "accessor": self.accessor,
            "policies": list(self.policies),
            "token_policies": list(self.policies),
            "metadata": self.meta,
            "lease_duration": lease_duration,
            "renewable": self.renewable,
            "entity_id": self.entity_id,
            "token_type": self.rules.kind,
            "orphan": self.orphan,
        }

    def describe(self, now: float) -> Json:
        """The `data` of a lookup."""
        expires = self.expires
        data: Json = {
            "accessor": self.accessor,
            "creation_time": int(self.issued),
            "creation_ttl": self.ttl,
            "display_name": self.display_name,
            "entity_id": self.entity_id,
            "expire_time": None if expires is None else times.timestamp(expires),
            "explicit_max_ttl": self.rules.explicit_max_ttl,
            "id": self.id,
            "issue_time": times.timestamp(self.issued),
            "meta": self.meta,
            "num_uses": self.uses_left,
            "orphan": self.orphan,
            "path": self.path,
            "policies": list(self.policies),
            "renewable": self.renewable,
            "ttl": 0 if expires is None else times.time_left(expires, now),
            "type": self.rules.kind,
        }
        return data | self._optional()

    def _optional(self) -> Json:
        data: Json = {}
        if self.rules.period:
            data["period"] = self.rules.period
        if self.last_renewal is not None:
            data["last_renewal"] = times.timestamp(self.last_renewal)
            data["last_renewal_time"] = int(self.last_renewal)
        return data


class TokenStore:
    """Every token of the server; the caller holds the server's lock."""

    def __init__(self, root_token: str, now: float) -> None:
        self._tokens: dict[str, Token] = {}
        self._entities: dict[tuple[str, str, str], str] = {}
        self.issue(TokenRules(policies=(ROOT,)), now, token_id=root_token)

    def issue(
        self, rules: TokenRules, now: float, *, token_id: str = "", **facts: Any
    ) -> tuple[Token, list[str] | None]:
        """Make a token; `facts` are fields of `Token`. Also warns where its TTL was capped."""
        ttl, warnings = _first_ttl(rules, now)
        batch = rules.kind == "batch"
        made = token_id or (identifiers.batch_token() if batch else identifiers.service_token())
        token = Token(
            id=made,
            accessor="" if batch else identifiers.accessor(),
            rules=rules,
            policies=rules.all_policies,
            namespace=facts.pop("namespace", ""),
            issued=now,
            ttl=ttl,
            expires=now + ttl if ttl else None,
            uses_left=rules.num_uses,
            **facts,
        )
        self._tokens[made] = token
        return token, warnings

    def find(self, token_id: str, now: float) -> Token | None:
        """Return a live token, or None: unknown, expired, revoked, or its parent is."""
        token = self._tokens.get(token_id)
        return token if token is not None and token.alive(now) else None

    def find_accessor(self, accessor: str, now: float) -> Token | None:
        found = (each for each in self if accessor and each.accessor == accessor)
        token = next(found, None)
        return token if token is not None and token.alive(now) else None

    def renew(self, token: Token, increment: int, now: float) -> tuple[int, list[str] | None]:
        """Give a token `increment` seconds from now (its first TTL if 0), at most its maximum."""
        if token.is_batch:
            raise RefusedError(400, "batch tokens cannot be renewed")
        if not token.renewable:
            raise RefusedError(400, "lease is not renewable")
        wanted = token.rules.period or increment or token.ttl
        limit = SYSTEM_TTL if token.rules.period else token.rules.limit
        issued = now if token.rules.period else token.issued
        ttl, warnings = times.capped(wanted, limit=limit, issued=issued, now=now)
        token.expires = now + ttl
        token.last_renewal = now
        return ttl, warnings

    def revoke(self, token: Token) -> None:
        """End a token and, since each looks at its parent, all that descend from it."""
        token.revoked = True
        del self._tokens[token.id]

    def orphan_children(self, token: Token) -> None:
        for each in self:
            if each.parent is token:
                each.parent, each.orphan = None, True

    def entity(self, namespace: str, mount: str, alias: str) -> str:
        """Return the identity that logs in as `alias`, the same at every login."""
        return self._entities.setdefault((namespace, mount, alias), str(uuid.uuid4()))

    def __iter__(self) -> Iterator[Token]:
        return iter(list(self._tokens.values()))


def words(value: object) -> tuple[str, ...]:
    """Read a list that may come as a comma-separated string, as policies do."""
    if value is None:
        return ()
    given: Iterable[object] = value.split(",") if isinstance(value, str) else _items(value)
    return tuple(stripped for each in given if (stripped := str(each).strip()))


def _items(value: object) -> list[object]:
    if not isinstance(value, list | tuple):
        raise RefusedError(400, "expected a list or a comma-separated string")
    return list(value)


def _role_kind(body: Json) -> str:
    given = str(body.get("token_type") or "service")
    return "batch" if given == "batch" else "service"


def _first_ttl(rules: TokenRules, now: float) -> tuple[int, list[str] | None]:
    if ROOT in rules.policies and not rules.ttl:
        return 0, None
    wanted = rules.period or rules.ttl or min(SYSTEM_TTL, rules.limit)
    return times.capped(wanted, limit=rules.limit, issued=now, now=now)
