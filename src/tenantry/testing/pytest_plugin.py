"""Fixtures for users' own tests; pytest finds them by the entry point `tenantry`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenantry.testing.entra import EntraServer
    from tenantry.testing.fake import FakeRegistry
    from tenantry.testing.openai import OpenAIServer
    from tenantry.testing.vault import VaultServer


@pytest.fixture
def openai_server() -> Iterator[OpenAIServer]:
    """An OpenAI and Azure OpenAI server of its own for one test; it knows no key yet."""
    from tenantry.testing import OpenAIServer

    with OpenAIServer() as server:
        yield server


@pytest.fixture
def vault_server() -> Iterator[VaultServer]:
    """A Vault of its own for one test, unsealed, with a KV 2 engine at `secret`."""
    from tenantry.testing import VaultServer

    with VaultServer() as server:
        yield server


@pytest.fixture
def entra_server() -> Iterator[EntraServer]:
    """An Entra ID of its own for one test, with managed identity and a Key Vault."""
    from tenantry.testing import EntraServer

    with EntraServer() as server:
        yield server


@pytest.fixture
def fake_registry() -> Iterator[FakeRegistry]:
    """A registry of its own for one test, in which every name is a tenant; it needs no server."""
    from tenantry.testing import FakeRegistry

    with FakeRegistry() as registry:
        yield registry
