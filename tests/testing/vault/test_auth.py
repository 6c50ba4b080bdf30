from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hvac
import pytest

from tenantry.testing.certificates import CertificateAuthority
from tenantry.testing.vault import VaultServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def client(vault: VaultServer, connect: Callable[..., Any]) -> Any:
    return connect(vault.url)


def test_a_user_logs_in_with_a_password(vault: VaultServer, client: Any) -> None:
    """The right password buys a token, a wrong one a 400."""
    vault.userpass("bob", "pw", ["tenant"])

    auth = client.auth.userpass.login("bob", "pw")["auth"]

    assert {"username": "bob"} == auth["metadata"]
    with pytest.raises(hvac.exceptions.InvalidRequest, match="invalid username or password"):
        client.auth.userpass.login("bob", "no")


def test_users_are_managed_over_http(root: Any, client: Any) -> None:
    """hvac creates a user and deletes it; a user without a password is refused."""
    root.sys.enable_auth_method("userpass")
    root.auth.userpass.create_or_update_user("bob", "pw")
    client.auth.userpass.login("bob", "pw")
    root.auth.userpass.delete_user("bob")

    with pytest.raises(hvac.exceptions.InvalidRequest):
        client.auth.userpass.login("bob", "pw")
    with pytest.raises(hvac.exceptions.InvalidRequest, match="missing password"):
        root.write_data("auth/userpass/users/bob", data={"token_ttl": "1h"})


def test_a_service_account_logs_in(vault: VaultServer, client: Any) -> None:
    """A Kubernetes role takes exactly its token, until it is given another."""
    vault.kubernetes_role("svc", jwt="old", policies=["tenant"])
    client.auth.kubernetes.login("svc", "old")
    vault.kubernetes_role("svc", jwt="new", policies=["tenant"])

    auth = client.auth.kubernetes.login("svc", "new")["auth"]

    assert "svc" == auth["metadata"]["role"]
    with pytest.raises(hvac.exceptions.Forbidden, match="permission denied"):
        client.auth.kubernetes.login("svc", "old")
    with pytest.raises(hvac.exceptions.InvalidRequest, match="invalid role name"):
        client.auth.kubernetes.login("none", "new")


def test_a_jwt_logs_in(vault: VaultServer, client: Any) -> None:
    """A JWT role takes its token and refuses another with 400."""
    vault.jwt_role("svc", jwt="header.claims.signature")

    auth = client.auth.jwt.jwt_login("svc", "header.claims.signature")["auth"]

    assert {"role": "svc"} == auth["metadata"]
    for role, jwt, text in [
        ("svc", "other", "error validating token"),
        ("none", "header.claims.signature", "could not be found"),
        ("svc", "", "missing jwt"),
    ]:
        with pytest.raises(hvac.exceptions.InvalidRequest, match=text):
            client.auth.jwt.jwt_login(role, jwt)


def test_jwt_roles_are_managed_over_http(root: Any, client: Any) -> None:
    """A role written over HTTP says in `bound_jwt` which token it takes."""
    root.sys.enable_auth_method("jwt")
    root.write_data("auth/jwt/config", data={"jwt_validation_pubkeys": []})
    root.write_data("auth/jwt/role/svc", data={"bound_jwt": "x", "token_policies": "a,b"})
    auth = client.auth.jwt.jwt_login("svc", "x")["auth"]
    root.delete("auth/jwt/role/svc")

    assert ["a", "b", "default"] == auth["policies"]
    with pytest.raises(hvac.exceptions.InvalidRequest):
        client.auth.jwt.jwt_login("svc", "x")


def test_a_client_certificate_logs_in(tmp_path: Path, connect: Callable[..., Any]) -> None:
    """Where the server asks for client certificates, callers have shown one."""
    authority = CertificateAuthority(tmp_path)
    files, shown = authority.server(client_ca_file=authority.ca_file), authority.client("svc")
    with VaultServer(certificate=files) as vault:
        vault.certificate_role("svc", policies=["tenant"])
        pair = (str(shown.certificate_file), str(shown.key_file))
        client = connect(vault.url, verify=str(authority.ca_file))

        auth = client.auth.cert.login("svc", cert_pem=pair[0], key_pem=pair[1])["auth"]

    assert {"cert_name": "svc"} == auth["metadata"]


def test_without_a_certificate_nobody_logs_in(vault: VaultServer, client: Any) -> None:
    """Plain callers are refused, unless the server is told to trust them."""
    vault.certificate_role("svc")
    with pytest.raises(hvac.exceptions.InvalidRequest, match="certificate must be supplied"):
        client.write_data("auth/cert/login", data={"name": "svc"})

    vault.trust_callers()

    assert client.write_data("auth/cert/login", data={})["auth"]["client_token"]
    with pytest.raises(hvac.exceptions.InvalidRequest, match="invalid certificate"):
        client.write_data("auth/cert/login", data={"name": "other"})


def test_certificate_roles_are_managed_over_http(root: Any, vault: VaultServer) -> None:
    """A role written over HTTP lets trusted callers in."""
    root.sys.enable_auth_method("cert")
    root.write_data("auth/cert/certs/web", data={"token_policies": ["tenant"]})
    vault.trust_callers()

    auth = root.write_data("auth/cert/login", data={})["auth"]
    assert ["default", "tenant"] == auth["policies"]
