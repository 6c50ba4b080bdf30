"""What a command reads for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tenantry.catalog.engine import Write
from tenantry.cli.fresh import Fresh, address, credential_of, endpoints, fresh
from tenantry.cli.terminal import Terminal
from tenantry.errors import RegistryClosedError
from tenantry.opening import open_engine

if TYPE_CHECKING:
    from pathlib import Path

SAID = """\
registry: {{warm: all, control: {control}}}
defaults: {{api_key: {{env: KEY}}}}
tenants:
  acme: {{endpoints: {{eu: {{base_url: "https://eu.example/v1"}}}}}}
  hooli: {{enabled: false}}
  stark: {{tmeout: 3}}
"""


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    file = tmp_path / "tenants.yaml"
    file.write_text(SAID.format(control=tmp_path / "control"))
    return Terminal(config=(str(file),))


def enabled(read: Fresh) -> dict[str, bool | None]:
    """Return of everybody whether they are enabled, None of who is in quarantine."""
    everybody = dict(read.everybody())
    return {
        name: None if tenant is None else tenant.settings.enabled
        for name, tenant in everybody.items()
    }


def test_who_is_there(terminal: Terminal) -> None:
    """Some are disabled, some in quarantine; who is served speaks for the service."""
    with fresh(terminal) as read:
        assert {"acme": True, "hooli": False, "stark": None} == enabled(read)
        assert ["acme"] == read.served()
        assert ["acme"] == [tenant.name for tenant in read.sample()]


def test_a_tenants_addresses(terminal: Terminal) -> None:
    """Endpoints have their own address, and the credential is named with its source."""
    with fresh(terminal) as read:
        found = endpoints(read.catalog.get("acme"))
    assert {"": "", "eu": "https://eu.example/v1"} == {
        name: address(settings) for name, settings in found.items()
    }
    assert ("api_key", "env") == credential_of(found[""])


def test_its_registry_is_nobodys_else(terminal: Terminal, tmp_path: Path) -> None:
    """It fetches nothing ahead, serves no control socket, and ends with the command."""
    with fresh(terminal) as read:
        registry = read.registry()
        assert [None] == [each.age for each in registry.status("acme").credentials]
    with pytest.raises(RegistryClosedError):
        registry.client("acme")
    assert not (tmp_path / "control").exists()


def test_another_configuration(terminal: Terminal, tmp_path: Path) -> None:
    """A command may read another configuration than the one that its options name."""
    with fresh(terminal, {"tenants": {"wonka": {"api_key": {"env": "KEY"}}}}) as read:
        assert ["wonka"] == list(read.catalog.names())


def test_tenants_of_an_engine(tmp_path: Path) -> None:
    """Tenants in a database are read from it, and those that are served speak for all."""
    said = {
        "catalog": {"sqlite": {"path": str(tmp_path / "tenants.db")}},
        "allow": {"secrets": {}},
        "defaults": {"api_key": {"env": "KEY"}},
    }
    with open_engine(said, {}) as (engine, _):
        engine.prepare(30.0)
        wrong = Write("stark", {"tmeout": 3})
        writes = [Write("acme", {}), Write("hooli", {"enabled": False}), wrong]
        engine.write(writes, "a test", 30.0)
    with fresh(Terminal(), said) as read:
        assert {"acme": True, "hooli": False, "stark": None} == enabled(read)
        assert ["acme"] == read.served()
        assert ["acme"] == [tenant.name for tenant in read.sample()]
