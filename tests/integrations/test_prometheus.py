"""tenantry in Prometheus: what a registry does, as a collector of prometheus_client."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from tenantry import ClientRegistry
from tenantry.events import Event, ReloadRejected, RequestReplayed
from tenantry.integrations.prometheus import register

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMIT = 10.0  # seconds after which a test that hangs fails
CONFIG: dict[str, Any] = {
    "registry": {"warm": "none"},
    "tenants": {"acme": {"api_key": {"env": "KEY"}}},
}


@pytest.fixture
def registry() -> Iterator[ClientRegistry]:
    with ClientRegistry.open(CONFIG, environ={"KEY": "sk-0123456789"}) as opened:
        yield opened


def scraped(collectors: Any) -> list[str]:
    """Return the samples, without their comments and the instants at which counters began."""
    lines = generate_latest(collectors).decode().splitlines()
    return [line for line in lines if not line.startswith("#") and "_created" not in line]


def settle(registry: ClientRegistry) -> None:
    """Wait until what happened so far was told."""
    told = threading.Event()
    unsubscribe = registry.subscribe(lambda _: told.set())
    registry._events.publish(Event("acme"))
    assert told.wait(LIMIT)
    unsubscribe()


def use(registry: ClientRegistry) -> None:
    registry.refresh("acme")
    registry.client("acme")
    registry._events.publish(RequestReplayed("acme", "env", version="", previous_version=""))
    registry._events.publish(ReloadRejected("", ()))
    settle(registry)


def test_a_scrape_has_the_names_that_are_promised(registry: ClientRegistry) -> None:
    """Those of OpenTelemetry, as its exporter for Prometheus writes them."""
    collectors = CollectorRegistry()
    register(registry, collectors)
    use(registry)
    lines = scraped(collectors)
    labels = 'outcome="unchanged",source="env"'
    assert {
        f'tenantry_credential_refresh_total{{{labels},tenant="acme"}} 1.0',
        f"tenantry_credential_refresh_duration_seconds_count{{{labels}}} 1.0",
        'tenantry_requests_replayed_total{source="env",tenant="acme"} 1.0',
        'tenantry_config_reload_total{outcome="rejected"} 1.0',
        'tenantry_clients{tenant="acme"} 1.0',
        'tenantry_requests_in_flight{tenant="acme"} 0.0',
    } <= set(lines)
    (expiry,) = [line for line in lines if line.startswith("tenantry_credential_expiry_seconds")]
    assert expiry.startswith('tenantry_credential_expiry_seconds{source="env",tenant="acme"} ')


def test_above_the_limit_no_label_names_a_tenant(registry: ClientRegistry) -> None:
    """It is empty, which Prometheus takes for absent."""
    collectors = CollectorRegistry()
    register(registry, collectors, tenant_limit=0)
    use(registry)
    lines = scraped(collectors)
    assert 'tenantry_clients{tenant=""} 1.0' in lines
    assert not [line for line in lines if "acme" in line]


def test_a_place_has_one_registry_at_a_time(registry: ClientRegistry) -> None:
    """Their samples could not be told apart; once one is closed another may be measured."""
    collectors = CollectorRegistry()
    collector = register(registry, collectors)
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        register(registry, collectors)
    collector.close()
    assert ([], ()) == (scraped(collectors), registry._events._hooks)
    register(registry, collectors).close()


WORKER = """
from tenantry import ClientRegistry
from tenantry.integrations.prometheus import register
tenants = {"acme": {"api_key": {"env": "KEY"}}}
with ClientRegistry.open({"registry": {"warm": "none"}, "tenants": tenants}) as registry:
    register(registry)
    registry.refresh("acme")
    registry._events.close(timeout=30.0)
"""


def test_counters_add_up_over_processes(tmp_path: Path) -> None:
    """In prometheus_client's multiprocess mode, which knows no gauges of collectors."""
    multiprocess = {"KEY": "sk-0123456789", "PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    environ = {**os.environ, **multiprocess}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", WORKER], env=environ, check=True, timeout=60)
    collectors = CollectorRegistry()
    MultiProcessCollector(collectors, str(tmp_path))  # type: ignore[no-untyped-call]  # theirs
    total = "tenantry_credential_refresh_total"
    assert [f'{total}{{outcome="unchanged",source="env",tenant="acme"}} 2.0'] == [
        line for line in scraped(collectors) if line.startswith(total)
    ]
