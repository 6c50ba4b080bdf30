from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hvac
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenantry.testing.vault import ManualClock, VaultServer


@pytest.fixture
def client(vault: VaultServer, connect: Callable[..., Any]) -> Any:
    return connect(vault.url)


def test_a_role_logs_in(vault: VaultServer, client: Any) -> None:
    """Role id and secret id buy a token of the role's policies."""
    role_id, secret_id = vault.approle("svc", policies=["tenant"], token_ttl="10m")

    auth = client.auth.approle.login(role_id, secret_id)["auth"]

    assert (["default", "tenant"], 600) == (auth["policies"], auth["lease_duration"])


@pytest.mark.parametrize(
    ("role_id", "secret_id", "text"),
    [
        ("", "x", "missing role_id"),
        ("x", "x", "invalid role ID"),
        (None, "", "missing secret_id"),
        (None, "x", "invalid secret id"),
    ],
)
def test_a_wrong_login_is_a_400(
    vault: VaultServer, client: Any, role_id: str | None, secret_id: str, text: str
) -> None:
    """Each half of the login has its own text."""
    known, _ = vault.approle("svc")

    with pytest.raises(hvac.exceptions.InvalidRequest, match=text):
        client.auth.approle.login(known if role_id is None else role_id, secret_id)


def test_a_secret_id_is_spent(vault: VaultServer, client: Any) -> None:
    """A secret id with a number of uses is worth that many logins."""
    role_id, secret_id = vault.approle("svc", secret_id_num_uses=2)
    for _ in range(2):
        client.auth.approle.login(role_id, secret_id)

    with pytest.raises(hvac.exceptions.InvalidRequest, match="invalid secret id"):
        client.auth.approle.login(role_id, secret_id)


def test_a_secret_id_expires(vault: VaultServer, clock: ManualClock, client: Any) -> None:
    """A secret id with a TTL is worth nothing afterwards."""
    role_id, secret_id = vault.approle("svc", secret_id_ttl="1m")
    clock.advance(60)

    with pytest.raises(hvac.exceptions.InvalidRequest, match="invalid secret id"):
        client.auth.approle.login(role_id, secret_id)


def test_a_role_may_need_no_secret_id(root: Any, vault: VaultServer, client: Any) -> None:
    """A role that binds no secret id logs in with its role id alone."""
    role_id, _ = vault.approle("svc")
    root.auth.approle.create_or_update_approle("svc", bind_secret_id=False)

    assert client.auth.approle.login(role_id)["auth"]["metadata"] == {"role_name": "svc"}


def test_roles_are_managed_over_http(root: Any, client: Any) -> None:
    """hvac creates, shows, lists, logs into and deletes a role."""
    root.sys.enable_auth_method("approle")
    approle = root.auth.approle
    with pytest.raises(hvac.exceptions.InvalidPath):
        approle.list_roles()
    approle.create_or_update_approle("svc", token_policies=["tenant"], token_ttl="6s")
    approle.update_role_id("svc", "my-role")
    approle.create_custom_secret_id("svc", "my-secret")

    assert ["svc"] == approle.list_roles()["data"]["keys"]
    assert ["tenant"] == approle.read_role("svc")["data"]["token_policies"]
    assert "my-role" == approle.read_role_id("svc")["data"]["role_id"]
    assert 6 == client.auth.approle.login("my-role", "my-secret")["auth"]["lease_duration"]
    approle.delete_role("svc")
    with pytest.raises(hvac.exceptions.InvalidPath):
        approle.read_role("svc")


def test_secret_ids_are_looked_up_and_destroyed(root: Any, vault: VaultServer) -> None:
    """A secret id shows what is left of it until it is destroyed."""
    _, secret_id = vault.approle("svc", secret_id_num_uses=3, secret_id_ttl="1h")
    approle = root.auth.approle

    data = approle.read_secret_id("svc", secret_id)["data"]
    approle.destroy_secret_id("svc", secret_id)

    assert (3, 3600) == (data["secret_id_num_uses"], data["secret_id_ttl"])
    assert 204 == approle.read_secret_id("svc", secret_id).status_code


def test_a_role_made_again_keeps_its_ids(vault: VaultServer, client: Any) -> None:
    """Changing a role's settings leaves its role id and its secret ids valid."""
    role_id, secret_id = vault.approle("svc", policies=["old"])
    again, _ = vault.approle("svc", policies=["new"])

    assert role_id == again
    auth = client.auth.approle.login(role_id, secret_id)["auth"]
    assert ["default", "new"] == auth["policies"]


def test_the_same_role_is_the_same_entity(vault: VaultServer, client: Any) -> None:
    """Two logins of a role are one identity with two tokens."""
    login = vault.approle("svc")

    first, second = (client.auth.approle.login(*login)["auth"] for _ in range(2))

    assert first["entity_id"] == second["entity_id"]
    assert first["client_token"] != second["client_token"]


def test_no_repr_shows_a_secret_id(vault: VaultServer) -> None:
    """A role's repr keeps its secret ids to itself."""
    _, secret_id = vault.approle("svc")

    role = vault._role("svc", "approle", "")
    assert secret_id not in repr(role) + repr(role.secret_ids[secret_id])
