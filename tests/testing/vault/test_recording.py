from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hvac
import pytest

from tenantry.testing.vault.mounts import Mount
from tenantry.testing.vault.recording import Operation, operation_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenantry.testing.vault import ManualClock, VaultServer


@pytest.mark.parametrize(
    ("path", "operation", "kind", "expected"),
    [
        ("secret/data/a", "read", "kv", "read"),
        ("secret/metadata/a", "list", "kv", "list"),
        ("secret/data/a", "write", "kv", "write"),
        ("secret/data/a", "delete", "kv", "delete"),
        ("secret/data/a", "patch", "kv", "other"),
        ("auth/approle/login", "write", "approle", "login"),
        ("auth/userpass/login/bob", "write", "userpass", "login"),
        ("auth/userpass/users/login", "write", "userpass", "configure"),
        ("auth/approle/role/svc", "write", "approle", "configure"),
        ("auth/token/renew-self", "write", "token", "renew"),
        ("sys/leases/renew", "write", "system", "renew"),
        ("auth/token/lookup-self", "read", "token", "lookup"),
        ("auth/token/create", "write", "token", "create"),
        ("auth/token/revoke-self", "write", "token", "revoke"),
        ("database/creds/svc", "read", "database", "mint"),
        ("pki/issue/r", "write", "pki", "mint"),
        ("database/roles/svc", "write", "database", "configure"),
        ("sys/wrapping/unwrap", "write", "system", "unwrap"),
        ("sys/health", "read", "system", "other"),
        ("none", "read", None, "other"),
    ],
)
def test_a_request_has_one_purpose(
    path: str, operation: str, kind: str | None, expected: Operation
) -> None:
    """What a request is for is told by its path and by the mount behind it."""
    root = path.removeprefix("auth/").partition("/")[0]
    mount = None if kind is None else Mount(f"{root}/", kind)

    assert expected == operation_of(path, operation, mount)


def test_requests_are_recorded_without_their_tokens(
    vault: VaultServer, clock: ManualClock, connect: Callable[..., Any]
) -> None:
    """Who asked is told by an accessor or a kind, in the order of the answers."""
    vault.add_policy("p", 'path "secret/*" { capabilities = ["read"] }')
    vault.put("k", {"k": 1})
    service, batch = vault.token(["p"]), vault.token(["p"], batch=True)
    for token in ("root", service, batch):
        connect(vault.url, token).read("secret/data/k")
        clock.advance(1)
    with pytest.raises(hvac.exceptions.Forbidden):
        connect(vault.url, "s.unknown").read("secret/data/k")

    accessor = vault.requests[1].caller
    assert ["root", accessor, "batch", "unknown"] == [each.caller for each in vault.requests]
    assert [1, 2, 3, 4] == [each.sequence for each in vault.requests]
    assert clock.now - 1 == vault.requests[2].received_at
    assert ("GET", "secret/data/k", "", "read", 200) == (
        vault.requests[0].method,
        vault.requests[0].path,
        vault.requests[0].namespace,
        vault.requests[0].operation,
        vault.requests[0].status,
    )
    assert service not in repr(vault.requests)
    assert batch not in repr(vault.requests)


def test_requests_are_counted_by_purpose_and_status(vault: VaultServer, root: Any) -> None:
    """Counts tell how often something was tried, and with what result."""
    vault.put("k", {"k": 1})
    root.read("secret/data/k")
    root.read("secret/data/none")

    assert (2, 1, 1, 0) == (
        vault.count("read"),
        vault.count("read", status=200),
        vault.count("read", status=404),
        vault.count("login"),
    )
    vault.clear_requests()
    assert (0, ()) == (vault.count("read"), vault.requests)
