from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hvac
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenantry.testing.vault import ManualClock, VaultServer


def test_a_session_is_renewed_up_to_its_maximum(
    vault: VaultServer, clock: ManualClock, connect: Callable[..., Any]
) -> None:
    """A role's max TTL ends its tokens however often they are renewed."""
    login = vault.approle("svc", token_ttl=6, token_max_ttl=10)
    client = connect(vault.url)
    client.auth.approle.login(*login)

    clock.advance(5)
    assert 5 == client.auth.token.renew_self()["auth"]["lease_duration"]
    clock.advance(5)
    with pytest.raises(hvac.exceptions.Forbidden, match="permission denied"):
        client.auth.token.renew_self()


def test_revoking_all_sessions_leaves_the_root(
    vault: VaultServer, root: Any, connect: Callable[..., Any]
) -> None:
    """Every token but the root's is gone, and who has a login gets another."""
    login = vault.approle("svc")
    client = connect(vault.url)
    client.auth.approle.login(*login)
    vault.token()

    assert 2 == vault.revoke_all_sessions()
    assert not client.is_authenticated()
    assert root.is_authenticated()
    client.auth.approle.login(*login)
    assert client.is_authenticated()


def test_a_token_is_revoked_once(vault: VaultServer, connect: Callable[..., Any]) -> None:
    """A token that is gone already is ignored."""
    token = vault.token()
    for _ in range(2):
        vault.revoke_token(token)

    assert not connect(vault.url, token).is_authenticated()


def test_secret_ids_are_rotated(vault: VaultServer, connect: Callable[..., Any]) -> None:
    """Old secret ids are made invalid, a new one logs in."""
    role_id, old = vault.approle("svc")
    vault.revoke_secret_ids("svc")
    client = connect(vault.url)

    with pytest.raises(hvac.exceptions.InvalidRequest, match="invalid secret id"):
        client.auth.approle.login(role_id, old)
    assert client.auth.approle.login(role_id, vault.new_secret_id("svc"))["auth"]


def test_a_child_needs_a_living_parent(vault: VaultServer) -> None:
    """A token cannot be made under one that is gone."""
    with pytest.raises(LookupError, match="parent token is not alive"):
        vault.token(parent="s.none")


def test_an_unknown_role_is_said_to_be_missing(vault: VaultServer) -> None:
    """A control names the call that makes what it misses."""
    with pytest.raises(LookupError, match=r"there is no role none: call approle\(\)"):
        vault.new_secret_id("none")


def test_one_path_holds_one_auth_method(vault: VaultServer) -> None:
    """A role is not put into a method of another kind."""
    vault.jwt_role("svc", jwt="x", mount="corp")

    with pytest.raises(TypeError, match="auth/corp/ is of the kind jwt, not kubernetes"):
        vault.kubernetes_role("svc", jwt="x", mount="corp")
