from __future__ import annotations

import pytest

from tenantry.testing.vault import RefusedError
from tenantry.testing.vault.tokens import SYSTEM_TTL, TokenRules, TokenStore, words


@pytest.fixture
def tokens() -> TokenStore:
    return TokenStore("root", 0.0)


def test_a_token_lives_for_its_ttl(tokens: TokenStore) -> None:
    """A token is found until the moment that its TTL ends."""
    token, warnings = tokens.issue(TokenRules(ttl=60), 0.0)

    assert warnings is None
    assert token is tokens.find(token.id, 59.9)
    assert tokens.find(token.id, 60.0) is None


def test_a_token_without_a_ttl_lives_for_the_default(tokens: TokenStore) -> None:
    """Vault's 768 hours hold where nothing else is said, and the root's token never ends."""
    token, _ = tokens.issue(TokenRules(), 0.0)

    assert SYSTEM_TTL == token.ttl
    assert tokens.find("root", 1e12) is not None


def test_a_ttl_is_capped_at_birth(tokens: TokenStore) -> None:
    """A token never gets more than its maximum, and is told so."""
    token, warnings = tokens.issue(TokenRules(ttl=3600, explicit_max_ttl=60), 0.0)

    assert (60, 1) == (token.ttl, len(warnings or []))


def test_descendants_die_with_their_ancestor(tokens: TokenStore) -> None:
    """A token ends when any of those above it does, by revocation or by time."""
    short, _ = tokens.issue(TokenRules(ttl=10), 0.0)
    child, _ = tokens.issue(TokenRules(ttl=60), 0.0, parent=short)
    grandchild, _ = tokens.issue(TokenRules(ttl=60), 0.0, parent=child)

    assert grandchild is tokens.find(grandchild.id, 9.0)
    assert tokens.find(grandchild.id, 10.0) is None
    tokens.revoke(child)
    assert tokens.find(grandchild.id, 1.0) is None


def test_orphans_live_on(tokens: TokenStore) -> None:
    """A child that was made an orphan outlives its parent; others stay children."""
    parent, _ = tokens.issue(TokenRules(ttl=60), 0.0)
    child, _ = tokens.issue(TokenRules(ttl=60), 0.0, parent=parent)
    tokens.orphan_children(parent)
    tokens.revoke(parent)

    assert child is tokens.find(child.id, 1.0)
    assert child.orphan


def test_renewing_without_an_increment_repeats_the_first_ttl(tokens: TokenStore) -> None:
    """A renewal counts from now, and may also shorten what is left."""
    token, _ = tokens.issue(TokenRules(ttl=60), 0.0)

    assert (60, None) == tokens.renew(token, 0, 30.0)
    assert 90.0 == token.expires
    assert (5, None) == tokens.renew(token, 5, 30.0)


def test_a_periodic_token_is_renewed_for_ever(tokens: TokenStore) -> None:
    """A period is what each renewal gives, whatever was asked for, without a maximum."""
    token, _ = tokens.issue(TokenRules(period=60), 0.0)

    for moment in range(50, SYSTEM_TTL + 100, SYSTEM_TTL // 4):
        assert (60, None) == tokens.renew(token, 3600, float(moment))
    assert 60 == token.describe(0.0)["period"]


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        (TokenRules(ttl=60, kind="batch"), "batch tokens cannot be renewed"),
        (TokenRules(ttl=60, renewable=False), "lease is not renewable"),
    ],
)
def test_some_tokens_are_not_renewed(tokens: TokenStore, rules: TokenRules, text: str) -> None:
    """Batch tokens and those made so end with their first TTL."""
    token, _ = tokens.issue(rules, 0.0)

    with pytest.raises(RefusedError, match=text):
        tokens.renew(token, 60, 1.0)


def test_an_accessor_finds_its_token(tokens: TokenStore) -> None:
    """An accessor names a living token; batch tokens have none."""
    token, _ = tokens.issue(TokenRules(ttl=60), 0.0)
    tokens.issue(TokenRules(ttl=60, kind="batch"), 0.0)

    assert token is tokens.find_accessor(token.accessor, 1.0)
    assert tokens.find_accessor(token.accessor, 60.0) is None
    assert tokens.find_accessor("", 1.0) is None


def test_policies_come_in_two_notations() -> None:
    """Lists and comma-separated strings are the same, and anything else is refused."""
    assert ("a", "b") == words("a, b,") == words(["a", "b"])
    assert () == words(None)
    with pytest.raises(RefusedError, match="expected a list"):
        words(7)


def test_a_role_may_make_batch_tokens() -> None:
    """A role's `token_*` fields say what its tokens are like."""
    body = {"token_type": "batch", "token_no_default_policy": True, "token_policies": "a"}

    rules = TokenRules.of_role(body)

    assert ("batch", ("a",)) == (rules.kind, rules.all_policies)


def test_no_repr_shows_a_token(tokens: TokenStore) -> None:
    """A token's repr has its accessor and not itself, nor its parent."""
    parent, _ = tokens.issue(TokenRules(ttl=60), 0.0)
    child, _ = tokens.issue(TokenRules(ttl=60), 0.0, parent=parent)

    assert child.accessor in repr(child)
    assert child.id not in repr(child)
    assert parent.id not in repr(child)
