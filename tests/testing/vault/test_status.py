from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hvac
import pytest
import requests

if TYPE_CHECKING:
    from tenantry.testing.vault import VaultServer


def health(vault: VaultServer, query: str = "") -> requests.Response:
    return requests.get(f"{vault.url}/v1/sys/health{query}", timeout=10)


def test_health_tells_the_state_by_its_status(vault: VaultServer) -> None:
    """Active is 200, standby 429, sealed 503, unless the caller wants other numbers."""
    assert 200 == health(vault).status_code
    assert 299 == health(vault, "?activecode=299").status_code
    vault.standby("http://127.0.0.1:1")
    assert 429 == health(vault).status_code
    assert 200 == health(vault, "?standbyok=true").status_code
    assert 299 == health(vault, "?standbycode=299").status_code
    vault.seal()
    assert 503 == health(vault).status_code


def test_a_wrong_key_does_not_unseal(vault: VaultServer, root: Any) -> None:
    """Only the server's own key opens it."""
    root.sys.seal()
    with pytest.raises(hvac.exceptions.InvalidRequest, match="invalid key"):
        root.sys.submit_unseal_key("00")
    assert root.sys.is_sealed()

    root.sys.submit_unseal_key(vault.unseal_key)
    assert not root.sys.is_sealed()


def test_a_standby_names_its_leader(vault: VaultServer, root: Any) -> None:
    """The leader's address is told where there is one, and nothing while sealed."""
    vault.standby("https://leader.test:8200")
    assert "https://leader.test:8200" == root.sys.read_leader_status()["leader_address"]

    vault.seal()
    with pytest.raises(hvac.exceptions.VaultDown):
        root.sys.read_leader_status()


def test_the_server_is_initialized(root: Any) -> None:
    """There is nothing to initialize."""
    assert root.sys.is_initialized()
