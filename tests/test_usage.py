"""What of a registry is in use: clients, and the secrets that are held for tenants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from tenantry import ClientRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tenantry.testing import OpenAIServer

KEY = "sk-acme-0123456789"


@pytest.fixture
def registry(openai_server: OpenAIServer, tmp_path: Path) -> Iterator[ClientRegistry]:
    openai_server.allow(KEY)
    key = tmp_path / "key"
    key.write_text(KEY)
    said: dict[str, Any] = {"base_url": openai_server.base_url, "api_key": SecretStr(KEY)}
    limits = {"every": 60, "max_stale": 40}
    filed = {**said, "api_key": {"file": {"path": str(key), "refresh": limits}}}
    config = {
        "registry": {"warm": "none", "fingerprint_key": {"file": str(key)}},
        "tenants": {
            "acme": {**filed, "endpoints": {"eu": {"base_url": openai_server.base_url}}},
            "globex": said,
        },
    }
    with ClientRegistry.open(config, environ={}) as opened:
        yield opened


def test_who_has_neither_client_nor_secret_is_not_in_use(registry: ClientRegistry) -> None:
    """To look builds and fetches nothing; what the registry itself needs is nobody's."""
    assert [] == registry.in_use()
    assert [] == registry.in_use()


def test_a_tenant_in_use_is_summed_over_its_endpoints(registry: ClientRegistry) -> None:
    """Its clients are counted, those of all endpoints."""
    registry.client("acme")
    registry.client("acme", endpoint="eu")
    registry.async_client("acme")
    (usage,) = registry.in_use()
    assert ("acme", 3, 0) == (usage.tenant, usage.clients, usage.in_flight)


def test_what_is_in_flight_is_counted_on_evicted_clients_too(registry: ClientRegistry) -> None:
    """They are held by who uses them, and not the registry's clients any more."""
    client = registry.client("acme")
    with client.models.with_streaming_response.list():
        registry.evict("acme")
        (usage,) = registry.in_use()
        assert (0, 1) == (usage.clients, usage.in_flight)
    (usage,) = registry.in_use()
    assert 0 == usage.in_flight


def test_the_time_that_is_left_is_known_by_source(registry: ClientRegistry) -> None:
    """Once a value is held: until it is too old to serve, whatever its source does."""
    registry.client("acme").models.list()
    (usage,) = registry.in_use()
    # 60 s, give or take a tenth, and 40 s more; a test machine may be slow.
    assert 30 < usage.expires_in["file"] <= 106


def test_a_secret_that_was_only_warmed_has_its_time(registry: ClientRegistry) -> None:
    """Nobody built a client for it yet."""
    registry.warm(["acme"])
    (usage,) = registry.in_use()
    assert ("acme", 0, ["file"]) == (usage.tenant, usage.clients, list(usage.expires_in))
