"""What changes in an engine is followed, whatever comes in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tenantry.catalog import CatalogChange
from tenantry.catalog.engine import Row
from tenantry.errors import (
    CatalogUnavailableError,
    UnknownTenantError,
)

if TYPE_CHECKING:
    from tests.catalog.lazy.conftest import Estate, Layers


def test_a_change_is_followed(estate: Estate) -> None:
    """Who is loaded and changed is read again, and nobody else."""
    estate.retries("acme")
    estate.retries("globex")
    estate.shelf.put("acme", {"max_retries": 7})
    estate.shelf.put("stark")
    estate.catalog.poll()
    assert 7 == estate.retries("acme")
    assert [CatalogChange(changed=("acme",))] == estate.book.changes
    assert ["acme", "globex", "acme"] == estate.shelf.asked


def test_a_removal_is_followed(estate: Estate) -> None:
    """Who is gone is unknown, and who serves it is told."""
    estate.retries("acme")
    estate.shelf.remove("acme")
    estate.catalog.poll()
    with pytest.raises(UnknownTenantError):
        estate.catalog.get("acme")
    assert [CatalogChange(removed=("acme",))] == estate.book.changes


def test_who_was_absent_may_come(estate: Estate) -> None:
    """Absence is believed no longer than until a change is seen."""
    with pytest.raises(UnknownTenantError):
        estate.catalog.get("wonka")
    estate.shelf.put("wonka")
    estate.catalog.poll()
    assert "wonka" == estate.catalog.get("wonka").name


@pytest.mark.parametrize(("said", "enabled"), [({}, True), ({"enabled": False}, False)])
def test_a_mistake_keeps_what_was_right(
    estate: Estate,
    said: dict[str, Any],
    enabled: bool,
) -> None:
    """A loaded tenant whose row became wrong is served as before, unless it is to be disabled."""
    estate.retries("acme")
    estate.shelf.put("acme", {"max_retries": "many", **said})
    estate.catalog.poll()
    settings = estate.catalog.get("acme").settings
    assert (1, enabled) == (settings.max_retries, settings.enabled)
    assert 1 == len(estate.catalog.problems("acme"))


def test_a_load_that_began_before_a_change(estate: Estate) -> None:
    """What was read before a change that is already known is not put in place: it is read again."""

    def change_once() -> None:
        estate.shelf.after_row = bool
        estate.shelf.put("acme", {"max_retries": 9})
        estate.catalog.poll()

    estate.shelf.after_row = change_once  # the old row is on its way
    assert 9 == estate.retries("acme")
    assert ["acme", "acme"] == estate.shelf.asked


def test_a_load_that_began_before_a_removal(estate: Estate) -> None:
    """Who is removed while being read is unknown; who comes meanwhile is found."""

    def remove_once() -> None:
        estate.shelf.after_row = bool
        estate.shelf.remove("acme")
        estate.catalog.poll()

    def put_once() -> None:
        estate.shelf.after_row = bool
        estate.shelf.put("wonka")
        estate.catalog.poll()

    estate.shelf.after_row = remove_once
    with pytest.raises(UnknownTenantError):
        estate.catalog.get("acme")
    estate.shelf.after_row = put_once
    assert "wonka" == estate.catalog.get("wonka").name


def test_a_load_that_changes_all_the_time(estate: Estate) -> None:
    """Nobody waits for ever for a tenant that does not come to rest."""

    def change() -> None:
        estate.shelf.put("acme")
        estate.catalog.poll()
        estate.hour += 0.3

    estate.shelf.after_row = change
    with pytest.raises(CatalogUnavailableError):
        estate.catalog.get("acme")
    assert 4 == len(estate.shelf.asked)


def test_too_long_ago_to_know(estate: Estate) -> None:
    """Where the history was trimmed everybody who is loaded is compared."""
    estate.retries("acme")
    estate.retries("globex")
    estate.shelf.put("acme", {"max_retries": 7})
    estate.shelf.trimmed = True
    estate.catalog.poll()
    assert [CatalogChange(changed=("acme",))] == estate.book.changes
    assert ["acme", "globex", "acme", "globex"] == estate.shelf.asked


def test_a_database_that_was_restored(estate: Estate) -> None:
    """A revision that went back means that anybody may have changed."""
    estate.retries("acme")
    estate.shelf.kept["acme"] = Row("acme", {"max_retries": 4}, 1)
    estate.shelf.now = 1
    estate.catalog.poll()
    assert (4, 1) == (estate.retries("acme"), estate.catalog.revision)


def test_a_copy_that_lags_behind(estate: Estate) -> None:
    """A row that is older than the change that was told is not taken for the change."""
    estate.retries("acme")
    old = estate.shelf.kept["acme"]
    estate.shelf.put("acme", {"max_retries": 7})
    new, estate.shelf.kept["acme"] = estate.shelf.kept["acme"], old
    estate.catalog.poll()
    assert (1, []) == (estate.retries("acme"), estate.book.changes)
    estate.shelf.kept["acme"] = new
    estate.catalog.poll()
    assert 7 == estate.retries("acme")


def test_what_changed_since(estate: Estate) -> None:
    """The names of a few looks are remembered, and beyond them nothing is known."""
    begin = estate.catalog.revision
    estate.shelf.put("stark")
    estate.catalog.poll()
    between = estate.catalog.revision
    estate.shelf.put("acme")
    estate.catalog.poll()
    now = estate.catalog.revision
    found = [estate.catalog.changes(since) for since in (begin - 1, begin, between, now)]
    assert [None, {"stark", "acme"}, {"acme"}, set()] == [
        None if names is None else set(names) for names in found
    ]


def test_other_layers(estate: Estate, layers: Layers) -> None:
    """Who is loaded is read again in new layers, without asking the engine."""
    estate.retries("acme")
    estate.retries("globex")
    expected = CatalogChange(changed=("globex",))
    assert expected == estate.catalog.planned(layers(max_retries=6))
    assert 6 != estate.retries("globex")
    assert expected == estate.catalog.lay(layers(max_retries=6))
    assert [6, 1] == [estate.retries("globex"), estate.retries("acme")]
    assert [expected] == estate.book.changes
    assert ["acme", "globex"] == estate.shelf.asked


def test_layers_that_change_while_a_tenant_is_read(estate: Estate, layers: Layers) -> None:
    """A tenant that was read in old layers is read in the new ones."""

    def lay_once() -> None:
        estate.shelf.after_row = bool
        estate.catalog.lay(layers(max_retries=6))

    estate.shelf.after_row = lay_once
    assert 6 == estate.retries("globex")
