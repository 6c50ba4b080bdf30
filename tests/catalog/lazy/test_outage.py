"""While the engine is away the warm go on, and the cold fail at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tenantry.errors import (
    CatalogUnavailableError,
)
from tenantry.events import CatalogRecovered, CatalogUnavailable

if TYPE_CHECKING:
    from tests.catalog.lazy.conftest import Estate


def test_the_warm_go_on_and_the_cold_fail_at_once(estate: Estate) -> None:
    """One read finds the engine away; until a probe is due others fail, and it is not asked."""
    estate.retries("acme")
    estate.shelf.away = "refused"
    for _ in range(3):
        with pytest.raises(CatalogUnavailableError, match="refused"):
            estate.catalog.get("globex")
    assert ["acme", "globex"] == estate.shelf.asked
    assert 1 == estate.retries("acme")
    estate.hour += 1
    with pytest.raises(CatalogUnavailableError):
        estate.catalog.get("globex")
    assert ["acme", "globex", "globex"] == estate.shelf.asked


def test_an_outage_is_told_once(estate: Estate) -> None:
    """Its beginning and its end are an event each, however often it is asked."""
    estate.shelf.away = "refused"
    for _ in range(3):
        estate.hour += 2
        estate.catalog.poll()
    estate.shelf.away = ""
    estate.hour += 2
    for _ in range(2):
        estate.catalog.poll()
    assert [
        CatalogUnavailable("", "shelf", "refused"),
        CatalogRecovered("", "shelf", 8.0),
    ] == estate.heard


def test_after_an_outage_everything_is_made_up_for(estate: Estate) -> None:
    """What changed while the engine was away is learned as soon as it answers anybody."""
    estate.retries("acme")
    estate.shelf.away = "refused"
    estate.catalog.poll()
    estate.shelf.put("acme", {"max_retries": 8})
    estate.shelf.away = ""
    estate.hour += 1
    estate.retries("globex")  # the probe
    estate.book.work()
    assert 8 == estate.retries("acme")


def test_trust_has_an_end(strict: Estate) -> None:
    """After `max_stale` without an answer nothing is served, until everything is known again."""
    estate = strict
    estate.retries("acme")
    estate.shelf.away = "refused"
    estate.hour += 60
    estate.catalog.poll()
    assert (1, 0) == (estate.retries("acme"), estate.book.distrusts)
    for _ in range(2):
        estate.hour += 1
        estate.catalog.poll()
    assert 1 == estate.book.distrusts
    for ask in (estate.catalog.get, estate.catalog.loaded):
        with pytest.raises(CatalogUnavailableError, match="refused"):
            ask("acme")
    estate.shelf.away = ""
    estate.catalog.poll()
    assert 1 == estate.retries("acme")


def test_a_look_that_failed_half_way_is_done_again(estate: Estate) -> None:
    """A change whose row could not be read is not forgotten."""
    estate.retries("acme")
    estate.shelf.put("acme", {"max_retries": 8})
    estate.shelf.before_row = lambda: setattr(estate.shelf, "away", "refused")
    estate.catalog.poll()
    estate.shelf.before_row, estate.shelf.away = bool, ""
    estate.catalog.poll()
    assert 8 == estate.retries("acme")
