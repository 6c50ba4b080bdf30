from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hvac
import pytest

if TYPE_CHECKING:
    from tenantry.testing.vault import VaultServer


@pytest.fixture
def kv(root: Any) -> Any:
    return root.secrets.kv.v2


def read(kv: Any, path: str, version: int | None = None) -> dict[str, Any]:
    found = kv.read_secret_version(path, version=version, raise_on_deleted_version=True)
    data: dict[str, Any] = found["data"]["data"]
    return data


def test_every_write_is_a_version(kv: Any) -> None:
    """The latest version is read unless another is asked for."""
    kv.create_or_update_secret("t/acme", {"k": 1})
    kv.create_or_update_secret("t/acme", {"k": 2}, cas=1)

    assert {"k": 2} == read(kv, "t/acme")
    assert {"k": 1} == read(kv, "t/acme", 1)
    with pytest.raises(hvac.exceptions.InvalidRequest, match="check-and-set"):
        kv.create_or_update_secret("t/acme", {"k": 3}, cas=0)


def test_cas_zero_creates(kv: Any) -> None:
    """A check-and-set of 0 is for secrets that are not there yet."""
    kv.create_or_update_secret("t/acme", {"k": 1}, cas=0)

    assert {"k": 1} == read(kv, "t/acme")


def test_deleted_versions_come_back_and_destroyed_ones_do_not(kv: Any) -> None:
    """Deleting hides a version, destroying ends it."""
    for number in (1, 2):
        kv.create_or_update_secret("t/acme", {"k": number})
    kv.delete_secret_versions("t/acme", [1])
    kv.delete_latest_version_of_secret("t/acme")
    with pytest.raises(hvac.exceptions.InvalidPath):
        read(kv, "t/acme", 1)

    kv.undelete_secret_versions("t/acme", [1, 2])
    kv.destroy_secret_versions("t/acme", [1])
    assert {"k": 2} == read(kv, "t/acme")
    with pytest.raises(hvac.exceptions.InvalidPath):
        read(kv, "t/acme", 1)


def test_deleting_twice_keeps_the_first_time(kv: Any) -> None:
    """A deleted version is not deleted again, and absent secrets are ignored."""
    kv.create_or_update_secret("t/acme", {"k": 1})
    for _ in range(2):
        kv.delete_latest_version_of_secret("t/acme")
    kv.delete_latest_version_of_secret("none")

    versions = kv.read_secret_metadata("t/acme")["data"]["versions"]
    assert "2023-11-14T22:13:20.000000000Z" == versions["1"]["deletion_time"]


def test_versions_have_to_be_named(root: Any) -> None:
    """The endpoints for versions refuse a body without any."""
    with pytest.raises(hvac.exceptions.InvalidRequest, match="No version number provided"):
        root.write_data("secret/destroy/t/acme", data={"versions": []})


def test_metadata_goes_with_all_versions(kv: Any) -> None:
    """Deleting the metadata leaves nothing, as if the secret had never been."""
    kv.create_or_update_secret("t/acme", {"k": 1})
    assert ["t/"] == kv.list_secrets("")["data"]["keys"]

    kv.delete_metadata_and_all_versions("t/acme")
    with pytest.raises(hvac.exceptions.InvalidPath):
        kv.read_secret_metadata("t/acme")
    with pytest.raises(hvac.exceptions.InvalidPath):
        kv.list_secrets("")


def test_the_tenth_version_before_is_forgotten(vault: VaultServer, kv: Any) -> None:
    """Ten versions are kept, and the metadata tells which is the oldest."""
    for number in range(12):
        vault.put("t/acme", {"k": number})

    metadata = kv.read_secret_metadata("t/acme")["data"]
    assert (3, 12, 10) == (
        metadata["oldest_version"],
        metadata["current_version"],
        len(metadata["versions"]),
    )


def test_patching_is_not_supported(root: Any) -> None:
    """There is no PATCH in Vault 1.8: hvac is told 405 and falls back to reading and writing."""
    with pytest.raises(hvac.exceptions.UnexpectedError, match="unsupported operation"):
        root.adapter.request("patch", "/v1/secret/data/t/acme", json={"data": {"k": 1}})


def test_only_data_is_created(vault: VaultServer, connect: Any) -> None:
    """Writing a new secret needs `create`, the other endpoints `update`."""
    vault.put("old", {"k": 1})
    vault.add_policy("p", 'path "secret/*" { capabilities = ["update"] }')
    kv = connect(vault.url, vault.token(["p"])).secrets.kv.v2

    kv.create_or_update_secret("old", {"k": 2})
    kv.destroy_secret_versions("old", [1])
    with pytest.raises(hvac.exceptions.Forbidden):
        kv.create_or_update_secret("new", {"k": 2})


def test_no_repr_shows_a_value(vault: VaultServer) -> None:
    """What an engine keeps is not in its repr."""
    vault.put("t/acme", {"api_key": "sk-secret"})

    engine = vault._state.namespaces[""].mounts["secret/"].engine
    assert "sk-secret" not in repr(engine) + repr(vars(engine)["_secrets"]) + repr(vault._state)
