"""Memory is bounded, but for tenants whose clients are in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenantry.catalog import CatalogChange

if TYPE_CHECKING:
    from tests.catalog.lazy.conftest import Estate


def test_the_longest_unused_is_forgotten(small: Estate) -> None:
    """Above the limit who was not used for longest goes, and who serves it is told."""
    estate = small
    estate.shelf.put("stark")
    for name in ("acme", "globex", "acme", "stark"):
        estate.catalog.get(name)
    assert ["globex"] == estate.book.gone
    assert ["acme", "stark"] == sorted(estate.catalog.loaded_names())


def test_who_has_clients_stays_and_is_followed(estate: Estate) -> None:
    """A tenant in use is not forgotten, however long ago it was asked for."""
    estate.catalog.obey(cache=1, poll=2, max_stale=None)
    estate.book.clients = {"acme"}
    estate.shelf.put("stark")
    for name in ("acme", "globex", "stark"):
        estate.catalog.get(name)
    assert ["acme", "stark"] == estate.catalog.loaded_names()
    estate.shelf.put("acme", {"max_retries": 3})
    estate.catalog.poll()
    assert [CatalogChange(changed=("acme",))] == estate.book.changes
    estate.book.clients = set()
    estate.catalog.get("globex")
    assert ["globex"] == estate.catalog.loaded_names()


def test_who_was_just_read_stays(estate: Estate) -> None:
    """Where all others are in use, who was read last is not forgotten before it is used itself."""
    estate.catalog.obey(cache=1, poll=2, max_stale=None)
    estate.catalog.get("acme")
    estate.book.clients = {"acme"}
    estate.catalog.get("globex")
    estate.catalog.get("globex")
    assert ["acme", "globex"] == estate.shelf.asked


def test_other_limits(estate: Estate) -> None:
    """A smaller cache is obeyed by the next look."""
    estate.retries("acme")
    estate.retries("globex")
    estate.catalog.obey(cache=1, poll=2, max_stale=None)
    estate.catalog.poll()
    assert ["globex"] == estate.catalog.loaded_names()
