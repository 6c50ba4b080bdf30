from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hvac
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenantry.testing.vault import ManualClock, VaultServer


def mint(role: str, number: int) -> dict[str, str]:
    return {"api_key": f"sk-{role}-{number}"}


def test_every_read_mints(vault: VaultServer, root: Any) -> None:
    """Each reply has credentials and a lease of its own, which count as mints."""
    vault.dynamic_role("svc", mint=mint, ttl="1m")

    first, second = (root.secrets.database.generate_credentials("svc") for _ in range(2))

    assert [{"api_key": "sk-svc-1"}, {"api_key": "sk-svc-2"}] == [first["data"], second["data"]]
    assert (60, True) == (first["lease_duration"], first["renewable"])
    assert (first["lease_id"], second["lease_id"]) == vault.leases
    assert 2 == vault.count("mint")


def test_leases_die_with_the_token_behind_them(
    vault: VaultServer, connect: Callable[..., Any]
) -> None:
    """Credentials end with the session that minted them."""
    vault.dynamic_role("svc")
    vault.add_policy("p", 'path "database/creds/svc" { capabilities = ["read"] }')
    token = vault.token(["p"])
    connect(vault.url, token).secrets.database.generate_credentials("svc")
    assert 1 == len(vault.leases)

    vault.revoke_token(token)

    assert not vault.leases


def test_a_lease_ends_on_time(vault: VaultServer, clock: ManualClock, root: Any) -> None:
    """A lease that nobody renews is gone after its TTL."""
    vault.dynamic_role("svc", ttl=60)
    root.read("database/creds/svc")
    clock.advance(60)

    assert not vault.leases


def test_a_lease_is_revoked_from_python(vault: VaultServer, root: Any) -> None:
    """A control ends one lease, and ignores one that is gone."""
    vault.dynamic_role("svc")
    lease_id = root.read("database/creds/svc")["lease_id"]
    for _ in range(2):
        vault.revoke_lease(lease_id)

    assert not vault.leases


def test_writing_a_role_is_an_update(vault: VaultServer, connect: Callable[..., Any]) -> None:
    """A policy needs no `create` to make a role."""
    vault.mount("database", "database")
    vault.add_policy("p", 'path "database/*" { capabilities = ["update"] }')

    connect(vault.url, vault.token(["p"])).write_data("database/roles/svc", data={})

    with pytest.raises(hvac.exceptions.Forbidden):
        connect(vault.url, vault.token(["p"])).read("database/creds/svc")


def test_roles_are_managed_over_http(root: Any) -> None:
    """A database role written over HTTP mints a user and a password."""
    root.sys.enable_secrets_engine("database", path="db")
    root.write_data("db/roles/svc", data={"default_ttl": "5m", "max_ttl": "1h"})
    reply = root.read("db/creds/svc")
    root.delete("db/roles/svc")

    assert ({"username", "password"}, 300) == (set(reply["data"]), reply["lease_duration"])
    with pytest.raises(hvac.exceptions.InvalidRequest, match="unknown role"):
        root.read("db/creds/svc")
