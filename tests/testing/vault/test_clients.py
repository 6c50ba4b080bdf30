"""What tenantry's Vault source does, through hvac alone: true of a real Vault too."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import hvac
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tenantry.testing.vault import VaultTarget


class Playground:
    """An engine, an auth method and a policy of its own in a Vault that others may use too."""

    def __init__(self, admin: Any) -> None:
        self.admin = admin
        self.mount = f"test-{uuid.uuid4()}"
        admin.sys.enable_secrets_engine("kv", path=self.mount, options={"version": "2"})
        admin.sys.enable_auth_method("approle", path=self.mount)
        rules = f'path "{self.mount}/data/t/*" {{ capabilities = ["read"] }}'
        admin.sys.create_or_update_policy(self.mount, rules)

    def put(self, path: str, data: dict[str, Any]) -> None:
        self.admin.secrets.kv.v2.create_or_update_secret(path, data, mount_point=self.mount)

    def role(self, **fields: Any) -> tuple[str, str]:
        approle, where = self.admin.auth.approle, {"mount_point": self.mount}
        policies = [self.mount]
        approle.create_or_update_approle("svc", token_policies=policies, **fields, **where)
        role_id = approle.read_role_id("svc", **where)["data"]["role_id"]
        return role_id, approle.generate_secret_id("svc", **where)["data"]["secret_id"]

    def remove(self) -> None:
        self.admin.sys.disable_secrets_engine(self.mount)
        self.admin.sys.disable_auth_method(self.mount)
        self.admin.sys.delete_policy(self.mount)


@pytest.fixture
def playground(target: VaultTarget, connect: Callable[..., Any]) -> Iterator[Playground]:
    made = Playground(connect(target.url, target.token))
    yield made
    made.remove()


@pytest.fixture
def session(target: VaultTarget, playground: Playground, connect: Callable[..., Any]) -> Any:
    client = connect(target.url)
    client.auth.approle.login(*playground.role(token_ttl="1h"), mount_point=playground.mount)
    return client


def test_a_session_reads_what_its_policy_allows(playground: Playground, session: Any) -> None:
    """One path is read, another is denied."""
    playground.put("t/acme", {"api_key": "sk-1"})
    kv = session.secrets.kv.v2
    options = {"mount_point": playground.mount, "raise_on_deleted_version": True}

    assert {"api_key": "sk-1"} == kv.read_secret_version("t/acme", **options)["data"]["data"]
    with pytest.raises(hvac.exceptions.InvalidPath):
        kv.read_secret_version("t/none", **options)
    with pytest.raises(hvac.exceptions.Forbidden):
        kv.read_secret_version("other", **options)


def test_a_session_is_renewed_and_revoked(session: Any) -> None:
    """A session lives longer when renewed, and not at all once revoked."""
    assert session.auth.token.renew_self(increment="2h")["auth"]["lease_duration"] == 7200

    session.auth.token.revoke_self()
    with pytest.raises(hvac.exceptions.Forbidden):
        session.auth.token.lookup_self()


def test_a_wrapped_secret_id_is_unwrapped_once(
    target: VaultTarget, playground: Playground, connect: Callable[..., Any]
) -> None:
    """The second to unwrap finds nothing: somebody else was there."""
    role_id, _ = playground.role()
    info = playground.admin.auth.approle.generate_secret_id(
        "svc", mount_point=playground.mount, wrap_ttl="60s"
    )["wrap_info"]
    client = connect(target.url, info["token"])
    secret_id = client.sys.unwrap()["data"]["secret_id"]

    assert connect(target.url).auth.approle.login(role_id, secret_id, mount_point=playground.mount)
    with pytest.raises(hvac.exceptions.InvalidRequest):
        client.sys.unwrap()
