"""What all auth methods do once they believe the caller: hand out a token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tenantry.testing.vault.envelope import Reply, secret

if TYPE_CHECKING:
    from tenantry.testing.vault.mounts import Call
    from tenantry.testing.vault.tokens import TokenRules, TokenStore


@dataclass(frozen=True, slots=True)
class Login:
    """Who logged in: the rules of the role, and the name that the identity store knows."""

    rules: TokenRules
    display_name: str
    metadata: dict[str, str]
    alias: str


def log_in(tokens: TokenStore, call: Call, login: Login) -> Reply:
    """Issue an orphan token and return it as `auth`."""
    token, warnings = tokens.issue(
        login.rules,
        call.now,
        namespace=call.namespace.path,
        display_name=login.display_name,
        path=f"{call.mount}{call.path}",
        meta=login.metadata,
        entity_id=tokens.entity(call.namespace.path, call.mount, login.alias),
    )
    return secret(None, auth=token.auth(token.ttl), warnings=warnings)
