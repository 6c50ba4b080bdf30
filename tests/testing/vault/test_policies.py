from __future__ import annotations

import pytest

from tenantry.testing.vault import RefusedError
from tenantry.testing.vault.policies import Policy, capabilities, reaches


def policy(text: str) -> Policy:
    return Policy.parse("p", text)


def rule(path: str, *words: str) -> Policy:
    listed = ", ".join(f'"{word}"' for word in words)
    return policy(f'path "{path}" {{ capabilities = [{listed}] }}')


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("secret/a", "secret/a", True),
        ("secret/a", "secret/ab", False),
        ("secret/*", "secret/a/b", True),
        ("secret/+/x", "secret/a/x", True),
        ("secret/+/x", "secret/a/b/x", False),
        ("secret/+/team/*", "secret/data/team/a", True),
        ("secret/a.b", "secret/a-b", False),
    ],
)
def test_a_rule_matches_by_segment_and_by_prefix(pattern: str, path: str, matches: bool) -> None:
    """A `+` is one whole segment, a `*` at the end is anything."""
    assert matches == ({"read"} == capabilities([rule(pattern, "read")], path))


def test_the_most_specific_rule_decides_alone() -> None:
    """An exact path beats a longer reach, and later wildcards beat earlier ones."""
    policies = [rule("a/*", "read", "list"), rule("a/b/*", "update"), rule("a/b/c", "delete")]

    assert {"delete"} == capabilities(policies, "a/b/c")
    assert {"update"} == capabilities(policies, "a/b/d")
    assert {"read", "list"} == capabilities(policies, "a/c")
    assert set() == capabilities(policies, "b")


def test_equal_rules_add_up_unless_one_denies() -> None:
    """Policies that name the same path give what they give together; deny takes all."""
    both = [rule("a", "read"), rule("a", "list")]

    assert {"read", "list"} == capabilities(both, "a")
    assert set() == capabilities([*both, rule("a", "deny")], "a")


def test_comments_are_no_rules() -> None:
    """Lines of comment are skipped."""
    text = '# path "a" { capabilities = ["read"] }\n  // more\npath "b" { capabilities = ["read"] }'

    assert ["b"] == [each.path for each in policy(text).rules]


@pytest.mark.parametrize(
    "text",
    [
        "capabilities",
        'path "a" { policy = "read" }',
        'path "a" { capabilities = ["fly"] }',
        'path "a" { capabilities = ["read"] } rule',
    ],
)
def test_what_is_not_understood_is_refused(text: str) -> None:
    """A policy that would be read in part is not read at all."""
    with pytest.raises(RefusedError, match="failed to parse policy"):
        policy(text)


def test_a_policy_reaches_a_mount_that_it_names_or_covers() -> None:
    """The preflight asks whether anything below the mount is allowed."""
    assert reaches([rule("secret/data/a", "read")], "secret/")
    assert reaches([rule("*", "read")], "secret/")
    assert not reaches([rule("secret/*", "deny")], "secret/")
    assert not reaches([rule("secret", "read")], "secret/")
    assert not reaches([rule("other/*", "read")], "secret/")
