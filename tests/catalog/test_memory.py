from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tenantry import ClientRegistry
from tenantry.catalog import Catalog, MemoryCatalog
from tenantry.catalog.snapshot import SUGGESTIONS_UP_TO
from tenantry.errors import (
    ConfigError,
    Problem,
    TenantQuarantinedError,
    UnknownTenantError,
)
from tenantry.events import CatalogReloaded, Event
from tenantry.loading import Tenant, load
from tenantry.sources import kinds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenantry.testing import OpenAIServer


def tenants(*names: str) -> dict[str, Tenant]:
    said = {name: {"api_key": {"env": "KEY"}} for name in names}
    return dict(load({"tenants": said}, environ={}, kinds=kinds()).tenants)


PROBLEMS = (Problem("is not a mapping", "tenants.broken"),)


@pytest.fixture
def catalog() -> MemoryCatalog:
    return MemoryCatalog(tenants("acme", "Acme-EU", "globex"), {"broken": PROBLEMS})


def test_is_a_catalog(catalog: MemoryCatalog) -> None:
    """It can say of tenants what every catalog can."""
    assert isinstance(catalog, Catalog)
    assert 1 == catalog.revision


def test_get(catalog: MemoryCatalog) -> None:
    """A tenant is found by its name."""
    assert "acme" == catalog.get("acme").name
    assert catalog.get("acme") is catalog.get("acme")


def test_names(catalog: MemoryCatalog) -> None:
    """Every name counts once, those in quarantine included."""
    assert ["acme", "Acme-EU", "globex", "broken"] == list(catalog.names())
    assert ("broken" in catalog.names(), "nobody" in catalog.names()) == (True, False)


def test_quarantine(catalog: MemoryCatalog) -> None:
    """A quarantined tenant is refused with what is wrong with it."""
    with pytest.raises(TenantQuarantinedError) as caught:
        catalog.get("broken")

    assert ("broken", PROBLEMS) == (caught.value.tenant, caught.value.problems)
    assert PROBLEMS == catalog.problems("broken")
    assert () == catalog.problems("acme")
    assert () == catalog.problems("nobody")


@pytest.mark.parametrize(
    ("name", "suggestions"),
    [
        ("acne", ("acme",)),
        ("ACME", ("acme", "Acme-EU")),
        ("acme_eu", ("Acme-EU", "acme")),
        ("brokn", ("broken",)),
        ("zzz", ()),
    ],
)
def test_suggestions(catalog: MemoryCatalog, name: str, suggestions: tuple[str, ...]) -> None:
    """An unknown name is told with those near to it, however they are spelled."""
    with pytest.raises(UnknownTenantError) as caught:
        catalog.get(name)

    assert (name, suggestions) == (caught.value.tenant, caught.value.suggestions)


def test_no_suggestions_for_many() -> None:
    """In a large catalog nobody waits for a suggestion."""
    many = dict.fromkeys((f"tenant-{n}" for n in range(SUGGESTIONS_UP_TO)), PROBLEMS)
    with pytest.raises(UnknownTenantError) as caught:
        MemoryCatalog(tenants("acme"), many).get("acne")

    assert () == caught.value.suggestions


def test_empty() -> None:
    """A catalog may be empty."""
    assert 0 == len(MemoryCatalog({}).names())


# -- changed by code ------------------------------------------------------------------------------


@pytest.fixture
def registry(openai_server: OpenAIServer) -> Iterator[ClientRegistry]:
    config = {
        "allow": {"secrets": {"env": ["KEY*"]}},
        "defaults": {"base_url": openai_server.base_url},
        "tenants": {"acme": {"api_key": {"env": "KEY"}}},
    }
    openai_server.allow("sk-1")
    openai_server.allow("sk-2")
    with ClientRegistry.open(config, environ={"KEY": "sk-1", "KEY_2": "sk-2"}) as opened:
        yield opened


def memory(registry: ClientRegistry) -> MemoryCatalog:
    assert isinstance(registry.catalog, MemoryCatalog)
    return registry.catalog


def test_put_adds_and_changes(registry: ClientRegistry, openai_server: OpenAIServer) -> None:
    """Who was put is served at once; a held client has the settings of then."""
    memory(registry).put("globex", {"api_key": {"env": "KEY"}})
    held = registry.client("globex")
    memory(registry).put("globex", {"api_key": {"env": "KEY_2"}})
    for client in (held, registry.client("globex")):
        client.models.list()
    sent = [request.header["authorization"] for request in openai_server.requests]
    assert ["Bearer sk-1", "Bearer sk-2"] == sent


def test_put_is_told_like_a_reload(registry: ClientRegistry) -> None:
    """Code that changes tenants makes the same events as a file that does."""
    heard: list[Event] = []
    registry.subscribe(heard.append)
    memory(registry).put("globex", {"api_key": {"env": "KEY"}})
    memory(registry).remove("acme")
    registry.close()
    assert [
        CatalogReloaded("", ("globex",), (), (), ()),
        CatalogReloaded("", (), (), ("acme",), ()),
    ] == [event for event in heard if isinstance(event, CatalogReloaded)]


def test_what_is_wrong_is_not_put(registry: ClientRegistry) -> None:
    """The error says where, and nothing changes."""
    catalog, before = memory(registry), memory(registry).snapshot
    for name, said, reason in (
        ("globex", {"api_key": {"env": "KEY"}, "max_retires": 1}, "max_retires"),
        ("globex", {"api_key": {"env": "HOME"}}, "allow.secrets.env"),
        ("globex", {"api_key": {"env": "KEY"}, "base_url": "https://evil"}, "allow.origins"),
        ("ACME", {"api_key": {"env": "KEY"}}, "'acme'"),
        ("no/name", {"api_key": {"env": "KEY"}}, "name"),
    ):
        with pytest.raises(ConfigError, match=reason) as raised:
            catalog.put(name, said)
        assert all(f"catalog.put({name!r})" == p.site.file for p in raised.value.problems if p.site)
    assert before is catalog.snapshot


def test_who_is_removed_is_not_served(registry: ClientRegistry) -> None:
    """Gates are shut; a name that nobody has cannot be removed."""
    client = registry.client("acme")
    memory(registry).remove("acme")
    with pytest.raises(UnknownTenantError):
        client.models.list()
    with pytest.raises(UnknownTenantError):
        memory(registry).remove("acme")


def test_what_code_said_stays_through_a_reload(registry: ClientRegistry) -> None:
    """What was put is there, what was removed is not, whatever the configuration says."""
    catalog = memory(registry)
    catalog.put("globex", {"api_key": {"env": "KEY"}})
    catalog.remove("acme")
    client = registry.client("globex")
    assert not registry.reload(force=True)
    assert ["globex"] == list(catalog.names())
    assert client is registry.client("globex")


def test_the_callers_mapping_is_the_callers(registry: ClientRegistry) -> None:
    """What is done to it afterwards changes no tenant, not even at a reload."""
    said: dict[str, Any] = {"api_key": {"env": "KEY"}}
    memory(registry).put("globex", said)
    said["api_key"]["env"] = "HOME"
    assert not registry.reload()


def test_a_catalog_of_no_registry_cannot_be_changed() -> None:
    """What a tenant may say depends on a configuration's layers."""
    with pytest.raises(ConfigError, match="belongs to no registry"):
        MemoryCatalog({}).put("acme", {"api_key": {"env": "KEY"}})


def test_many_threads_put_side_by_side(registry: ClientRegistry) -> None:
    """No tenant is lost between them."""
    catalog = memory(registry)
    with ThreadPoolExecutor(8) as threads:
        names = [f"tenant-{number}" for number in range(64)]
        list(threads.map(lambda name: catalog.put(name, {"api_key": {"env": "KEY"}}), names))
    assert {"acme", *names} == set(catalog.names())
    assert 65 == catalog.revision
