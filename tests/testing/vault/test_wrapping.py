from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hvac
import pytest

from tenantry.testing.vault.wrapping import WrappedReply

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenantry.testing.vault import ManualClock, VaultServer


def test_a_wrapped_secret_id_is_unwrapped_once(
    vault: VaultServer, connect: Callable[..., Any]
) -> None:
    """The wrapping token alone gives the reply back, one time."""
    role_id, _ = vault.approle("svc")
    token = vault.new_secret_id("svc", wrap_ttl="1m")
    client = connect(vault.url, token)

    secret_id = client.sys.unwrap()["data"]["secret_id"]

    assert connect(vault.url).auth.approle.login(role_id, secret_id)["auth"]
    with pytest.raises(hvac.exceptions.InvalidRequest, match="wrapping token is not valid"):
        client.sys.unwrap()
    assert ["wrapping", "none", "unknown"] == [each.caller for each in vault.requests]


def test_a_wrapped_reply_expires(
    vault: VaultServer, clock: ManualClock, connect: Callable[..., Any]
) -> None:
    """After its TTL a wrapping token is worth nothing."""
    vault.approle("svc")
    token = vault.new_secret_id("svc", wrap_ttl=60)
    clock.advance(60)

    with pytest.raises(hvac.exceptions.InvalidRequest, match="wrapping token is not valid"):
        connect(vault.url).sys.unwrap(token)


def test_a_wrapped_login_tells_the_accessor(root: Any, vault: VaultServer) -> None:
    """A wrapped token is known by its accessor before anybody unwraps it."""
    info = root.auth.token.create(wrap_ttl="1m")["wrap_info"]

    auth = root.sys.unwrap(info["token"])["auth"]

    assert info["wrapped_accessor"] == auth["accessor"]


def test_anything_can_be_wrapped(root: Any) -> None:
    """Data of the caller's own is wrapped, shown by a lookup, and given back."""
    info = root.sys.wrap({"k": 1}, ttl=60)["wrap_info"]

    assert (
        60
        == root.write_data("sys/wrapping/lookup", data={"token": info["token"]})["data"][
            "creation_ttl"
        ]
    )
    assert {"k": 1} == root.sys.unwrap(info["token"])["data"]


def test_what_is_empty_is_not_wrapped(root: Any) -> None:
    """A write that has nothing to tell is not wrapped, whatever was asked."""
    made = root.write_data("sys/policies/acl/p", data={"policy": ""}, wrap_ttl="1m")

    assert 204 == made.status_code


def test_no_repr_shows_what_is_wrapped() -> None:
    """A wrapped reply's repr has no body."""
    assert "sk-secret" not in repr(WrappedReply({"data": "sk-secret"}, "p", 0.0, 60))
