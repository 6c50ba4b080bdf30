"""One registry serves a process: opened when first needed, anew when settings change."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import modify_settings, override_settings
from tests.forking import in_child

from tenantry import ClientRegistry, ConfigError, RegistryClosedError
from tenantry.integrations.django import clients, get_registry
from tenantry.integrations.django.opened import APP, holder

if TYPE_CHECKING:
    from pathlib import Path

THREADS = 16


def test_nothing_is_opened_beforehand(configured: dict[str, Any]) -> None:
    """The registry is opened by whoever asks first, and stays."""
    assert None is holder.at_once
    registry = get_registry()
    assert registry is get_registry()
    assert {"acme", "globex", "off", "keyless"} == set(registry.tenants)


def test_threads_that_ask_first_share_one(configured: dict[str, Any]) -> None:
    """However many threads ask first at once, one registry comes to be."""
    barrier = threading.Barrier(THREADS)
    found: list[ClientRegistry] = []

    def ask() -> None:
        barrier.wait(10)
        found.append(get_registry())

    threads = [threading.Thread(target=ask) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert THREADS == len(found)
    assert 1 == len(set(map(id, found)))


@pytest.mark.parametrize("form", ["registry", "callable"])
def test_the_applications_own(registry: ClientRegistry, form: str) -> None:
    """A registry that the application opened serves, and is not closed by us."""
    said = registry if form == "registry" else lambda: registry
    with override_settings(TENANTRY={"registry": said}):
        assert registry is get_registry()
        client = clients["acme"]
    assert "list" == client.models.list().object


def test_what_returns_no_registry() -> None:
    """A callable that returns something else is told."""
    told = pytest.raises(ImproperlyConfigured, match="returned no registry: 'something'")
    with override_settings(TENANTRY={"registry": lambda: "something"}), told:
        get_registry()


def test_the_application_is_missing(configured: dict[str, Any]) -> None:
    """Without the application in INSTALLED_APPS nobody would follow settings, and it says so."""
    told = pytest.raises(ImproperlyConfigured, match=f"INSTALLED_APPS has no '{APP}'")
    with modify_settings(INSTALLED_APPS={"remove": APP}), told:
        get_registry()


def test_a_broken_configuration(tmp_path: Path) -> None:
    """A configuration that cannot be used is told to whoever asks, and opens once it is mended."""
    file = tmp_path / "tenants.yaml"
    file.write_text("tenents: {}")
    with override_settings(TENANTRY=file):
        with pytest.raises(ConfigError, match="unknown key 'tenents'"):
            get_registry()
        file.write_text("tenants: {acme: {api_key: {literal: sk}}}")
        assert ["acme"] == list(clients)


def test_after_its_end(configured: dict[str, Any]) -> None:
    """A registry that the end of the process closed is not opened again."""
    client = clients["acme"]
    holder.end()
    with pytest.raises(RegistryClosedError):
        _ = clients["acme"]
    with pytest.raises(RegistryClosedError):
        client.models.list()


def test_the_end_of_a_process() -> None:
    """A process that ends closes its registry; nothing warns."""
    code = """
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["tenantry.integrations.django"],
    TENANTRY={"config": {"tenants": {"acme": {"api_key": {"literal": "sk"}}}}},
)
import django
django.setup()
from tenantry.integrations.django import clients
print(clients["acme"].max_retries)
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ("2\n", "") == (done.stdout, done.stderr)


def test_a_forked_child(configured: dict[str, Any]) -> None:
    """A child may open the registry although the parent was opening it when it forked."""
    with holder._lock:
        assert in_child(lambda: "acme" in clients)
