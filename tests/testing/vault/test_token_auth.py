from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hvac
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenantry.testing.vault import ManualClock, VaultServer


def make(client: Any, **fields: Any) -> dict[str, Any]:
    auth: dict[str, Any] = client.auth.token.create(**fields)["auth"]
    return auth


def test_a_child_has_no_more_than_its_parent(
    vault: VaultServer, connect: Callable[..., Any]
) -> None:
    """A token passes on its own policies, no others, and not those of the root."""
    vault.add_policy("p", 'path "auth/token/*" { capabilities = ["update"] }')
    parent = connect(vault.url, vault.token(["p"]))

    assert ["default", "p"] == make(parent, ttl="1m")["policies"]
    for policies, text in [(["q"], "must be subset"), (["root"], "root tokens may not be created")]:
        with pytest.raises(hvac.exceptions.InvalidRequest, match=text):
            make(parent, policies=policies)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"batch": True}, "batch tokens cannot create more tokens"),
        ({"num_uses": 5}, "restricted use token cannot generate child tokens"),
    ],
)
def test_some_tokens_have_no_children(
    vault: VaultServer, connect: Callable[..., Any], options: dict[str, Any], text: str
) -> None:
    """Batch tokens and those of limited use make no tokens."""
    vault.add_policy("p", 'path "auth/token/*" { capabilities = ["update"] }')

    with pytest.raises(hvac.exceptions.InvalidRequest, match=text):
        make(connect(vault.url, vault.token(["p"], **options)))


def test_the_root_chooses_a_tokens_id(root: Any) -> None:
    """The root may name a token, its owner and what it is for."""
    auth = make(
        root, id="my-token", policies=["p"], display_name="ci", meta={"team": "a"}, ttl="1m"
    )

    data = root.auth.token.lookup("my-token")["data"]

    assert "my-token" == auth["client_token"]
    assert ("token-ci", {"team": "a"}) == (data["display_name"], data["meta"])


def test_there_are_two_kinds_of_tokens(root: Any) -> None:
    """A type that is neither service nor batch is refused."""
    with pytest.raises(hvac.exceptions.InvalidRequest, match="invalid 'type' value"):
        root.write_data("auth/token/create", data={"type": "gold"})


def test_orphans_outlive_their_maker(
    vault: VaultServer, root: Any, connect: Callable[..., Any]
) -> None:
    """Children end with the token that made them; orphans do not."""
    parent = connect(vault.url, make(root, policies=["root"], ttl="1h")["client_token"])
    child, orphan = make(parent, ttl="1h"), parent.auth.token.create_orphan(ttl="1h")["auth"]
    second = make(parent, ttl="1h", no_parent=True)
    parent.auth.token.revoke_self()

    with pytest.raises(hvac.exceptions.Forbidden, match="bad token"):
        root.auth.token.lookup(child["client_token"])
    for auth in (orphan, second):
        assert root.auth.token.lookup(auth["client_token"])["data"]["orphan"]


def test_a_renewed_token_tells_when(vault: VaultServer, clock: ManualClock, root: Any) -> None:
    """A lookup shows the last renewal and what is left since."""
    token = vault.token(ttl="1m")
    clock.advance(30)
    root.auth.token.renew(token)
    clock.advance(10)

    data = root.auth.token.lookup(token)["data"]

    assert (50, int(clock.now) - 10) == (data["ttl"], data["last_renewal_time"])


def test_an_accessor_serves_to_look_up_and_to_revoke(vault: VaultServer, root: Any) -> None:
    """An accessor does not give its token away, and is worthless once it is gone."""
    token = vault.token()
    accessor = root.auth.token.lookup(token)["data"]["accessor"]

    assert "" == root.auth.token.lookup_accessor(accessor)["data"]["id"]
    root.auth.token.revoke_accessor(accessor)
    with pytest.raises(hvac.exceptions.Forbidden, match="invalid accessor"):
        root.auth.token.lookup_accessor(accessor)


def test_a_token_is_revoked_with_or_without_its_children(vault: VaultServer, root: Any) -> None:
    """Revoking takes the children along, unless they are left as orphans."""
    first, second = vault.token(), vault.token()
    dies, lives = vault.token(parent=first), vault.token(parent=second)

    root.auth.token.revoke(first)
    root.auth.token.revoke_and_orphan_children(second)

    assert root.auth.token.lookup(lives)["data"]["orphan"]
    for gone in (first, dies, second):
        with pytest.raises(hvac.exceptions.InvalidRequest, match="token not found"):
            root.auth.token.revoke(gone)


def test_a_batch_token_is_not_revoked(vault: VaultServer, root: Any) -> None:
    """A batch token ends with time alone."""
    with pytest.raises(hvac.exceptions.InvalidRequest, match="cannot be revoked"):
        root.auth.token.revoke(vault.token(batch=True))
