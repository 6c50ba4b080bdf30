"""Two tenants on an embedded server, and a container that knows them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tenantry.integrations.dependency_injector import TenantryContainer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenantry.testing import OpenAIServer


@pytest.fixture
def config(openai_server: OpenAIServer) -> dict[str, Any]:
    openai_server.allow("key-acme", tenant="acme")
    openai_server.allow("key-globex", tenant="globex")
    return {
        "defaults": {"base_url": openai_server.base_url},
        "tenants": {
            "acme": {"api_key": {"literal": "key-acme"}},
            "globex": {
                "provider": "azure",
                "azure_endpoint": openai_server.azure_endpoint,
                "api_version": "2024-10-21",
                "api_key": {"literal": "key-globex"},
            },
        },
    }


@pytest.fixture
def container(config: dict[str, Any]) -> Iterator[TenantryContainer]:
    container = TenantryContainer(config=config)
    yield container
    container.shutdown_resources()
