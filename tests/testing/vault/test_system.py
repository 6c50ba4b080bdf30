from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hvac
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenantry.testing.vault import VaultServer


def test_engines_come_and_go(root: Any) -> None:
    """A path holds one engine at a time, of a type that exists."""
    root.sys.enable_secrets_engine("kv-v2", path="team/kv")
    with pytest.raises(hvac.exceptions.InvalidRequest, match="path is already in use at team/kv/"):
        root.sys.enable_secrets_engine("kv", path="team/kv")
    with pytest.raises(hvac.exceptions.InvalidRequest, match="plugin not found"):
        root.sys.enable_secrets_engine("gold", path="gold")
    assert {"version": "2"} == root.sys.list_mounted_secrets_engines()["data"]["team/kv/"][
        "options"
    ]

    root.sys.disable_secrets_engine("team/kv")
    assert "team/kv/" not in root.sys.list_mounted_secrets_engines()["data"]


def test_auth_methods_come_and_go(root: Any) -> None:
    """A path holds one auth method at a time, of a type that exists."""
    root.sys.enable_auth_method("approle", path="corp")
    with pytest.raises(hvac.exceptions.InvalidRequest, match="path is already in use at corp/"):
        root.sys.enable_auth_method("approle", path="corp")
    with pytest.raises(hvac.exceptions.InvalidRequest, match="plugin not found"):
        root.sys.enable_auth_method("gold")
    assert {"corp/", "token/"} == set(root.sys.list_auth_methods()["data"])

    root.sys.disable_auth_method("corp")
    assert {"token/"} == set(root.sys.list_auth_methods()["data"])


def test_a_mount_is_described_to_those_who_may_use_it(
    vault: VaultServer, connect: Callable[..., Any]
) -> None:
    """The preflight tells the KV version below a path, and nothing to others."""
    vault.add_policy("p", 'path "secret/data/t/*" { capabilities = ["read"] }')
    allowed, other = connect(vault.url, vault.token(["p"])), connect(vault.url, vault.token())

    data = allowed.read("sys/internal/ui/mounts/secret/data/t")["data"]

    assert ("secret/", "2") == (data["path"], data["options"]["version"])
    for client, path in [(other, "secret"), (allowed, "none")]:
        with pytest.raises(hvac.exceptions.Forbidden, match="preflight capability check"):
            client.read(f"sys/internal/ui/mounts/{path}")


def test_all_mounts_are_described_at_once(root: Any) -> None:
    """Without a path the preflight lists engines and auth methods."""
    data = root.read("sys/internal/ui/mounts")["data"]

    assert ({"sys/", "identity/", "cubbyhole/", "secret/"}, {"token/"}) == (
        set(data["secret"]),
        set(data["auth"]),
    )


def test_tuning_tells_the_ttls(vault: VaultServer, root: Any) -> None:
    """The settings of a mount are read; an absent one is a 400."""
    vault.mount("database", "database")

    assert 2764800 == root.sys.read_mount_configuration("secret")["data"]["max_lease_ttl"]
    assert "options" not in root.sys.read_mount_configuration("database")["data"]
    with pytest.raises(hvac.exceptions.InvalidRequest, match="cannot fetch sysview"):
        root.sys.read_mount_configuration("none")


def test_capabilities_are_told(vault: VaultServer, root: Any, connect: Callable[..., Any]) -> None:
    """A token may ask what it may do where."""
    vault.add_policy("p", 'path "secret/*" { capabilities = ["read", "list"] }')
    client = connect(vault.url, vault.token(["p"]))

    data = client.write_data("sys/capabilities-self", data={"paths": ["secret/data/a", "x"]})[
        "data"
    ]

    assert (["list", "read"], ["deny"]) == (data["secret/data/a"], data["x"])
    assert ["root"] == root.write_data("sys/capabilities-self", data={"path": "x"})["data"]["x"]


def test_namespaces_are_made_and_listed(root: Any) -> None:
    """A namespace lists those directly below it."""
    with pytest.raises(hvac.exceptions.InvalidPath):
        root.sys.list_namespaces()
    root.sys.create_namespace("team")
    root.sys.create_namespace("team")
    root.adapter.namespace = "team"
    root.sys.create_namespace("sub")

    assert ["sub/"] == root.sys.list_namespaces()["data"]["keys"]
    root.adapter.namespace = None
    assert ["team/"] == root.sys.list_namespaces()["data"]["keys"]


def test_a_quota_needs_a_rate(root: Any) -> None:
    """A quota without a number is refused."""
    with pytest.raises(hvac.exceptions.InvalidRequest, match="missing rate"):
        root.write_data("sys/quotas/rate-limit/q", data={"path": "secret/"})
