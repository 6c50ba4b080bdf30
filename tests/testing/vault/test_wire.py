from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

if TYPE_CHECKING:
    from tenantry.testing.vault import VaultServer


@pytest.mark.parametrize("content", ["{", "[1]", '"text"'])
def test_a_body_has_to_be_an_object(vault: VaultServer, content: str) -> None:
    """Anything but a JSON object is a 400."""
    reply = requests.post(f"{vault.url}/v1/sys/unseal", data=content, timeout=10)

    assert (400, {"errors": ["error parsing JSON"]}) == (reply.status_code, reply.json())


def test_null_is_an_empty_body(vault: VaultServer) -> None:
    """A body of null says nothing."""
    reply = requests.post(f"{vault.url}/v1/sys/unseal", data="null", timeout=10)

    assert ["unseal failed, invalid key"] == reply.json()["errors"]


def test_other_paths_are_not_served(vault: VaultServer) -> None:
    """There is nothing beside /v1/, and it is not recorded."""
    assert 404 == requests.get(f"{vault.url}/ui/", timeout=10).status_code
    assert () == vault.requests


def test_only_a_bearer_is_authorized(vault: VaultServer) -> None:
    """The Authorization header carries a token in the Bearer scheme alone."""
    for scheme, status in [("Bearer", 200), ("Basic", 400)]:
        headers = {"Authorization": f"{scheme} {vault.root_token}"}
        reply = requests.get(f"{vault.url}/v1/sys/mounts", headers=headers, timeout=10)
        assert status == reply.status_code
