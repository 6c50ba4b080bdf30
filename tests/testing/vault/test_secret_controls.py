from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tenantry.testing.vault import VaultServer


def test_put_tells_the_version(vault: VaultServer) -> None:
    """KV 2 numbers versions from 1, and KV 1 has none."""
    vault.mount("kv1", version=1)

    assert [1, 2] == [vault.put("k", {"k": 1}) for _ in range(2)]
    assert 0 == vault.put("k", {"k": 1}, mount="kv1")


def test_secrets_are_deleted_brought_back_and_destroyed(vault: VaultServer, root: Any) -> None:
    """The controls do what the endpoints do."""
    vault.mount("kv1", version=1)
    vault.put("k", {"k": 1}, mount="kv1")
    vault.put("k", {"k": 1})

    def readable(path: str) -> bool:
        return root.read(path) is not None

    vault.delete("k")
    vault.delete("k", mount="kv1")
    assert (False, False) == (readable("secret/data/k"), readable("kv1/k"))
    vault.undelete("k")
    assert readable("secret/data/k")
    vault.destroy("k", versions=[1])
    assert not readable("secret/data/k")
    vault.forget("k")
    assert 1 == vault.put("k", {"k": 1})


def test_what_is_not_there_is_said_to_be_missing(vault: VaultServer) -> None:
    """A control that finds no mount or no namespace names the call that makes one."""
    with pytest.raises(LookupError, match=r"nothing is mounted at none/: call mount\(\)"):
        vault.put("k", {}, mount="none")
    with pytest.raises(LookupError, match=r"call add_namespace\(\)"):
        vault.put("k", {}, namespace="none")


def test_an_engine_of_another_type_is_refused(vault: VaultServer) -> None:
    """A control for one engine does not touch another."""
    vault.mount("kv1", version=1)
    with pytest.raises(TypeError, match="is no KV 2 engine"):
        vault.destroy("k", mount="kv1")
    with pytest.raises(TypeError, match="is no database engine"):
        vault.dynamic_role("svc", mount="secret")
    vault.dynamic_role("svc")
    with pytest.raises(TypeError, match="is no KV engine"):
        vault.put("k", {}, mount="database")


def test_a_namespace_is_made_once(vault: VaultServer) -> None:
    """Making a namespace again leaves its data alone."""
    vault.add_namespace("team")
    vault.put("k", {"k": 1}, namespace="team")
    vault.add_namespace("team")

    assert 2 == vault.put("k", {"k": 1}, namespace="team")


def test_an_unmounted_engine_is_gone_with_its_data(vault: VaultServer) -> None:
    """A path that is mounted again starts empty."""
    vault.put("k", {"k": 1})
    vault.unmount("secret")
    vault.mount("secret")

    assert 1 == vault.put("k", {"k": 1})
