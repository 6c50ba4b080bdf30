"""The endpoints below sys/wrapping."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenantry.testing.vault.envelope import Reply, secret

if TYPE_CHECKING:
    from tenantry.testing.vault.mounts import Call
    from tenantry.testing.vault.routes import Handler
    from tenantry.testing.vault.state import VaultState


def wrapping_routes(state: VaultState) -> list[tuple[str, str, Handler]]:
    """Return the endpoints that wrap data, and that show or give out what was wrapped."""

    def look_up(call: Call) -> Reply:
        return secret(state.wrappings.look_up(_token(call), call.now))

    def unwrap(call: Call) -> Reply:
        return state.wrappings.unwrap(_token(call), call.now)

    def wrap(call: Call) -> Reply:
        # The caller's X-Vault-Wrap-TTL does the wrapping, as for every other reply.
        return secret(call.body)

    return [
        ("write", "wrapping/lookup", look_up),
        ("write", "wrapping/unwrap", unwrap),
        ("write", "wrapping/wrap", wrap),
    ]


def _token(call: Call) -> str:
    return str(call.body.get("token") or call.client_token or "")
