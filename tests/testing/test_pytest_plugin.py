"""The fixtures that users get, and the names that stand for the servers."""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING

import pytest

import tenantry.testing

if TYPE_CHECKING:
    from tenantry.testing import EntraServer, OpenAIServer, VaultServer


def test_each_fixture_is_a_running_server(
    openai_server: OpenAIServer, vault_server: VaultServer, entra_server: EntraServer
) -> None:
    """A test that asks for a server gets one that listens."""
    health = f"{vault_server.url}/v1/sys/health"
    with urllib.request.urlopen(health, timeout=30) as reply:
        assert 200 == reply.status
    assert openai_server.base_url.endswith("/v1")
    assert entra_server.authority.startswith("https://127.0.0.1:")


@pytest.mark.parametrize("name", tenantry.testing.__all__)
def test_every_public_name_is_there(name: str) -> None:
    """What the package names can be imported from it."""
    assert name == getattr(tenantry.testing, name).__name__


def test_other_names_are_not() -> None:
    """A misspelt name is an AttributeError, as in any module."""
    with pytest.raises(AttributeError, match="Oops"):
        _ = tenantry.testing.Oops
