from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hvac
import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenantry.testing.vault import VaultServer

READ = 'path "secret/data/*" { capabilities = ["read"] }'


def test_a_namespace_has_data_of_its_own(vault: VaultServer, connect: Callable[..., Any]) -> None:
    """The same path is another secret in each namespace."""
    vault.add_namespace("team/sub")
    for namespace in ("", "team", "team/sub"):
        vault.put("k", {"of": namespace}, namespace=namespace)

    for namespace in ("", "root", "team", "team/sub/"):
        client = connect(vault.url, "root", namespace=namespace)
        expected = namespace.strip("/").removeprefix("root")
        assert {"of": expected} == client.read("secret/data/k")["data"]["data"]
    assert ["", "", "team/", "team/sub/"] == [each.namespace for each in vault.requests]


def test_a_path_may_name_the_namespace(vault: VaultServer, connect: Callable[..., Any]) -> None:
    """What the header leaves out may stand before the path."""
    vault.add_namespace("team/sub")
    vault.put("k", {"k": 1}, namespace="team/sub")

    assert connect(vault.url, "root").read("team/sub/secret/data/k")
    assert connect(vault.url, "root", namespace="team").read("sub/secret/data/k")


def test_a_token_serves_its_namespace_and_those_below(
    vault: VaultServer, connect: Callable[..., Any]
) -> None:
    """A token is worth nothing above its namespace, and needs a policy that names the way down."""
    vault.add_namespace("team/sub")
    vault.add_policy(
        "p", READ + ' path "sub/secret/data/k" { capabilities = ["read"] }', namespace="team"
    )
    token = vault.token(["p"], namespace="team")
    for namespace in ("", "team", "team/sub"):
        vault.put("k", {"k": 1}, namespace=namespace)

    for namespace in ("team", "team/sub"):
        assert connect(vault.url, token, namespace=namespace).read("secret/data/k")
    with pytest.raises(hvac.exceptions.Forbidden):
        connect(vault.url, token).read("secret/data/k")


def test_a_login_stays_in_its_namespace(vault: VaultServer, connect: Callable[..., Any]) -> None:
    """Auth methods, roles and policies belong to a namespace, and so does the token."""
    vault.add_namespace("team")
    vault.add_policy("p", READ, namespace="team")
    vault.put("k", {"k": 1}, namespace="team")
    login = vault.approle("svc", policies=["p"], namespace="team")
    client = connect(vault.url, namespace="team")

    client.auth.approle.login(*login)

    assert client.read("secret/data/k")["data"]["data"] == {"k": 1}


def test_an_unknown_namespace_is_a_404(vault: VaultServer, connect: Callable[..., Any]) -> None:
    """Once there are namespaces, a wrong one is not the root."""
    vault.put("k", {"k": 1})
    client = connect(vault.url, "root", namespace="team")
    assert client.read("secret/data/k")

    vault.add_namespace("other")

    assert client.read("secret/data/k") is None
    with pytest.raises(hvac.exceptions.InvalidPath, match="no handler for route"):
        client.auth.approle.login("role", "secret")


def test_a_list_is_allowed_with_or_without_a_slash(
    vault: VaultServer, connect: Callable[..., Any]
) -> None:
    """Policies may name the folder that is listed in both ways."""
    vault.put("t/acme", {"k": 1})
    for path in ("secret/metadata/t", "secret/metadata/t/", "secret/metadata/*"):
        vault.add_policy("p", f'path "{path}" {{ capabilities = ["list"] }}')
        client = connect(vault.url, vault.token(["p"]))
        assert ["acme"] == client.list("secret/metadata/t")["data"]["keys"]


def test_a_denied_write_still_uses_the_token_up(
    vault: VaultServer, connect: Callable[..., Any]
) -> None:
    """Each authenticated request counts, whatever became of it."""
    client = connect(vault.url, vault.token(num_uses=2))
    for _ in range(2):
        with pytest.raises(hvac.exceptions.Forbidden, match="1 error occurred"):
            client.write_data("none/x", data={"k": 1})

    with pytest.raises(hvac.exceptions.Forbidden, match=r"^permission denied"):
        client.read("secret/data/k")


def test_the_last_use_may_revoke(vault: VaultServer, connect: Callable[..., Any]) -> None:
    """A token of one use may spend it on its own end."""
    client = connect(vault.url, vault.token(num_uses=1))

    assert 204 == client.auth.token.revoke_self().status_code


def test_a_redirect_keeps_path_and_query(vault: VaultServer) -> None:
    """A standby sends clients to the same request at its leader."""
    vault.standby("http://127.0.0.1:1/")
    reply = requests.get(
        f"{vault.url}/v1/secret/data/a%20b?version=2", timeout=10, allow_redirects=False
    )

    assert 307 == reply.status_code
    assert "http://127.0.0.1:1/v1/secret/data/a%20b?version=2" == reply.headers["Location"]
    vault.standby(None)
    assert 400 == requests.get(f"{vault.url}/v1/secret/data/a", timeout=10).status_code


@pytest.mark.parametrize("path", ["identity/entity", "sys/none", "auth/token/none", "pki/none"])
def test_an_unknown_endpoint_is_a_404(vault: VaultServer, root: Any, path: str) -> None:
    """What a mount does not offer is unsupported."""
    vault.mount("pki", "pki")
    with pytest.raises(hvac.exceptions.InvalidPath, match="unsupported path"):
        root.write_data(path, data={})


def test_a_built_in_mount_is_only_listed(vault: VaultServer, connect: Callable[..., Any]) -> None:
    """The cubbyhole and the identity store are mounted and hold nothing."""
    vault.add_policy("p", 'path "cubbyhole/*" { capabilities = ["update"] }')

    with pytest.raises(hvac.exceptions.InvalidPath, match="unsupported path"):
        connect(vault.url, vault.token(["p"])).write_data("cubbyhole/a", data={"k": 1})


def test_a_mount_at_its_bare_path_is_listed(vault: VaultServer, root: Any) -> None:
    """A mount is found without its slash."""
    vault.mount("kv1", version=1)
    vault.put("a", {"k": 1}, mount="kv1")

    assert ["a"] == root.list("kv1")["data"]["keys"]
