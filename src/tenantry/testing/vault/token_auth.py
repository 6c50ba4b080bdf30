"""The endpoints below auth/token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenantry.testing.vault import times
from tenantry.testing.vault.envelope import Json, RefusedError, Reply, no_content, secret
from tenantry.testing.vault.policies import ROOT
from tenantry.testing.vault.routes import RoutedEngine
from tenantry.testing.vault.tokens import Token, TokenRules, TokenStore, words

if TYPE_CHECKING:
    from tenantry.testing.vault.mounts import Call


class TokenAuth(RoutedEngine):
    """Creates, shows, renews and revokes tokens; one instance serves all namespaces."""

    def __init__(self, tokens: TokenStore) -> None:
        self._tokens = tokens
        super().__init__(
            ("write", "create", self._create),
            ("write", "create-orphan", self._create_orphan),
            ("read", "lookup-self", self._lookup_self),
            ("write", "lookup-self", self._lookup_self),
            ("write", "lookup", self._lookup),
            ("write", "lookup-accessor", self._lookup_accessor),
            ("write", "renew-self", self._renew_self),
            ("write", "renew", self._renew),
            ("write", "revoke-self", self._revoke_self),
            ("write", "revoke", self._revoke),
            ("write", "revoke-accessor", self._revoke_accessor),
            ("write", "revoke-orphan", self._revoke_orphan),
        )

    def _create(self, call: Call) -> Reply:
        return self._issue(call, orphan=bool(call.body.get("no_parent", False)))

    def _create_orphan(self, call: Call) -> Reply:
        return self._issue(call, orphan=True)

    def _issue(self, call: Call, *, orphan: bool) -> Reply:
        rules = _rules(call)
        _permit(call.caller, rules)
        token, warnings = self._tokens.issue(
            rules,
            call.now,
            token_id=str(call.body.get("id") or "") if call.caller.is_root else "",
            namespace=call.namespace.path,
            display_name=_display_name(call.body),
            path=f"{call.mount}{call.path}",
            meta=call.body.get("meta"),
            parent=None if orphan else call.caller,
            orphan=orphan,
        )
        return secret(None, auth=token.auth(token.ttl), warnings=warnings)

    def _lookup_self(self, call: Call) -> Reply:
        return secret(call.caller.describe(call.now))

    def _lookup(self, call: Call) -> Reply:
        token = self._tokens.find(str(call.body.get("token", "")), call.now)
        if token is None:
            raise RefusedError(403, "bad token")
        return secret(token.describe(call.now))

    def _lookup_accessor(self, call: Call) -> Reply:
        # An accessor names a token without giving it away.
        return secret({**self._by_accessor(call).describe(call.now), "id": ""})

    def _renew_self(self, call: Call) -> Reply:
        return self._renewed(call, call.caller)

    def _renew(self, call: Call) -> Reply:
        return self._renewed(call, self._named(call))

    def _renewed(self, call: Call, token: Token) -> Reply:
        increment = times.seconds(call.body.get("increment"))
        ttl, warnings = self._tokens.renew(token, increment, call.now)
        return secret(None, auth=token.auth(ttl), warnings=warnings)

    def _revoke_self(self, call: Call) -> Reply:
        return self._revoked(call.caller)

    def _revoke(self, call: Call) -> Reply:
        return self._revoked(self._named(call))

    def _revoke_accessor(self, call: Call) -> Reply:
        return self._revoked(self._by_accessor(call))

    def _revoke_orphan(self, call: Call) -> Reply:
        token = self._named(call)
        self._tokens.orphan_children(token)
        return self._revoked(token)

    def _revoked(self, token: Token) -> Reply:
        if token.is_batch:
            raise RefusedError(400, "batch tokens cannot be revoked")
        self._tokens.revoke(token)
        return no_content()

    def _named(self, call: Call) -> Token:
        token = self._tokens.find(str(call.body.get("token", "")), call.now)
        if token is None:
            raise RefusedError(400, "token not found")
        return token

    def _by_accessor(self, call: Call) -> Token:
        token = self._tokens.find_accessor(str(call.body.get("accessor", "")), call.now)
        if token is None:
            raise RefusedError(403, "invalid accessor")
        return token


def _rules(call: Call) -> TokenRules:
    body = call.body
    kind = str(body.get("type") or "service")
    return TokenRules(
        policies=words(body.get("policies")) or call.caller.policies,
        ttl=times.seconds(body.get("ttl")),
        explicit_max_ttl=times.seconds(body.get("explicit_max_ttl")),
        period=times.seconds(body.get("period")),
        num_uses=int(body.get("num_uses") or 0),
        renewable=bool(body.get("renewable", True)),
        kind=kind,
        default_policy=not body.get("no_default_policy", False),
    )


def _permit(parent: Token, rules: TokenRules) -> None:
    if rules.kind not in {"service", "batch"}:
        raise RefusedError(400, "invalid 'type' value")
    if parent.is_batch:
        raise RefusedError(400, "batch tokens cannot create more tokens")
    if parent.rules.num_uses:
        raise RefusedError(400, "restricted use token cannot generate child tokens")
    if ROOT in rules.policies and not parent.is_root:
        raise RefusedError(400, "root tokens may not be created without parent token being root")
    if not parent.is_root and not set(rules.policies) <= {*parent.policies, "default"}:
        raise RefusedError(400, "child policies must be subset of parent")


def _display_name(body: Json) -> str:
    given = body.get("display_name")
    return f"token-{given}" if given else "token"
