from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hvac
import pytest

if TYPE_CHECKING:
    from tenantry.testing.vault import VaultServer


@pytest.fixture
def kv(vault: VaultServer, root: Any) -> Any:
    vault.mount("kv1", version=1)
    return root.secrets.kv.v1


def test_a_value_is_written_read_and_deleted(kv: Any) -> None:
    """A KV 1 engine holds what was written last."""
    kv.create_or_update_secret("t/acme", {"api_key": "sk-1"}, mount_point="kv1")
    assert {"api_key": "sk-1"} == kv.read_secret("t/acme", mount_point="kv1")["data"]

    kv.delete_secret("t/acme", mount_point="kv1")
    with pytest.raises(hvac.exceptions.InvalidPath):
        kv.read_secret("t/acme", mount_point="kv1")


def test_names_are_listed_folder_by_folder(vault: VaultServer, kv: Any) -> None:
    """Folders end with a slash, and an empty folder is absent."""
    vault.put("t/acme", {"k": 1}, mount="kv1")
    vault.put("top", {"k": 1}, mount="kv1")

    assert ["t/", "top"] == kv.list_secrets("", mount_point="kv1")["data"]["keys"]
    assert ["acme"] == kv.list_secrets("t", mount_point="kv1")["data"]["keys"]
    with pytest.raises(hvac.exceptions.InvalidPath):
        kv.list_secrets("none", mount_point="kv1")


def test_an_empty_value_is_refused(kv: Any, root: Any) -> None:
    """A write has to bring fields, and KV 1 cannot be patched."""
    with pytest.raises(hvac.exceptions.InvalidRequest, match="missing data fields"):
        kv.create_or_update_secret("t/acme", {}, mount_point="kv1")
    with pytest.raises(hvac.exceptions.UnexpectedError, match="unsupported operation"):
        root.adapter.request("patch", "/v1/kv1/t/acme", json={"k": 1})


def test_creating_is_not_updating(vault: VaultServer, root: Any, connect: Any) -> None:
    """A policy without `create` may overwrite and not write anew."""
    vault.mount("kv1", version=1)
    vault.put("old", {"k": 1}, mount="kv1")
    vault.add_policy("p", 'path "kv1/*" { capabilities = ["update"] }')
    client = connect(vault.url, vault.token(["p"]))

    client.secrets.kv.v1.create_or_update_secret("old", {"k": 2}, "PUT", "kv1")
    with pytest.raises(hvac.exceptions.Forbidden):
        client.secrets.kv.v1.create_or_update_secret("new", {"k": 2}, "POST", "kv1")
