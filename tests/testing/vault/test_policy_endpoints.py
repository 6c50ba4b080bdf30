from __future__ import annotations

from typing import Any

import hvac
import pytest

TEXT = 'path "secret/*" { capabilities = ["read"] }'


def test_policies_have_two_spellings(root: Any) -> None:
    """A policy written at one of the endpoints is read at the other."""
    root.sys.create_or_update_policy("a", TEXT)
    root.sys.create_or_update_acl_policy("b", TEXT)

    assert TEXT == root.sys.read_acl_policy("a")["data"]["policy"]
    assert TEXT == root.sys.read_policy("b")["data"]["rules"]
    assert ["a", "b", "default", "root"] == root.sys.list_acl_policies()["data"]["keys"]


def test_a_deleted_policy_is_gone(root: Any) -> None:
    """Policies are deleted, all but the default one."""
    root.sys.create_or_update_policy("a", TEXT)
    root.sys.delete_policy("a")

    with pytest.raises(hvac.exceptions.InvalidPath):
        root.sys.read_policy("a")
    with pytest.raises(hvac.exceptions.InvalidRequest, match="cannot delete"):
        root.sys.delete_policy("default")
