"""What operators ask reads no more tenants than they ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.registry_lazy.conftest import catalog_of, soon

if TYPE_CHECKING:
    from tests.registry_lazy.conftest import Estate

    from tenantry import ClientRegistry


def test_what_is_known(estate: Estate, registry: ClientRegistry) -> None:
    """Status and explanations read the one tenant that is asked for."""
    estate.put(wrong={"max_retries": "many"})
    assert "openai" == registry.status("acme").provider
    assert 1 == len(registry.status("wrong").problems)
    [said] = [each for each in registry.explain("acme") if each.name == "max_retries"]
    assert "sqlite:tenants/acme" == str(said.origin)
    assert {"acme", "wrong"} == set(catalog_of(registry).loaded_names())
    heard: list[Any] = []
    registry.subscribe(heard.append)
    assert soon(lambda: ["wrong"] == [event.tenant for event in heard])


def test_warming_all_is_warming_those_loaded(registry: ClientRegistry) -> None:
    """Nobody reads a million tenants to warm them."""
    assert {} == registry.warm()
    registry.client("acme")
    assert {"acme": None} == registry.warm()
