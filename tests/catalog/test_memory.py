from __future__ import annotations

import pytest

from tenantry.catalog import Catalog, MemoryCatalog
from tenantry.catalog.memory import SUGGESTIONS_UP_TO
from tenantry.errors import Problem, TenantQuarantinedError, UnknownTenantError
from tenantry.loading import Tenant, load
from tenantry.sources import kinds


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
