"""Tenants of an engine are read on first use, once, and nobody waits long."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from tenantry.catalog import Catalog, lazy, loaded
from tenantry.errors import (
    CatalogUnavailableError,
    TenantNotLoadedError,
    TenantQuarantinedError,
    UnknownTenantError,
)

if TYPE_CHECKING:
    from tests.catalog.lazy.conftest import Estate

    from tenantry.loading import Tenant


def test_is_a_catalog(estate: Estate) -> None:
    """It can stand wherever a catalog is asked for."""
    assert isinstance(estate.catalog, Catalog)


def test_read_on_first_use(estate: Estate) -> None:
    """Nobody is read before somebody asks, and nobody twice."""
    assert [] == estate.shelf.asked
    assert estate.catalog.get("acme") is estate.catalog.get("acme")
    assert ["acme"] == estate.shelf.asked
    assert "<LazyCatalog shelf, 1 tenants loaded>" == repr(estate.catalog)


def test_concurrent_first_uses_read_once(estate: Estate) -> None:
    """Whoever asks while a tenant is being read waits for that read."""
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        assert go_on.wait(10)

    estate.shelf.before_row = hold
    found: list[Tenant] = []
    asking = [
        threading.Thread(target=lambda: found.append(estate.catalog.get("acme"))) for _ in range(16)
    ]
    for thread in asking:
        thread.start()
    assert begun.wait(10)
    go_on.set()
    for thread in asking:
        thread.join(10)
    assert (16, 1) == (len(found), len(set(map(id, found))))
    assert ["acme"] == estate.shelf.asked


def test_nobody_waits_longer_than_allowed(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for another's read gives up in time, and says so."""
    monkeypatch.setattr(lazy, "TIMEOUT", 0.05)
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        go_on.wait(10)

    estate.shelf.before_row = hold
    first = threading.Thread(target=estate.catalog.get, args=("acme",))
    first.start()
    assert begun.wait(10)
    with pytest.raises(CatalogUnavailableError, match="no answer within"):
        estate.catalog.get("acme")
    go_on.set()
    first.join(10)
    assert 1 == estate.retries("acme")


def test_absence_is_believed_for_a_while(estate: Estate) -> None:
    """Asking for a name that nobody has does not ask the engine each time."""
    for _ in range(3):
        with pytest.raises(UnknownTenantError):
            estate.catalog.get("wonka")
    assert ["wonka"] == estate.shelf.asked
    estate.shelf.put("wonka")
    estate.hour += lazy.ABSENT_FOR
    assert "wonka" == estate.catalog.get("wonka").name


def test_absent_names_are_few(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for many names that nobody has does not fill the memory."""
    monkeypatch.setattr(loaded, "ABSENT_KEPT", 2)
    for name in ("one", "two", "three", "three", "one"):
        with pytest.raises(UnknownTenantError):
            estate.catalog.get(name)
    assert ["one", "two", "three", "one"] == estate.shelf.asked


@pytest.mark.parametrize("name", ["", "../acme", "a\0b", "a b", "x" * 129])
def test_what_is_no_name_is_not_asked_for(estate: Estate, name: str) -> None:
    """The engine sees names only."""
    with pytest.raises(UnknownTenantError):
        estate.catalog.get(name)
    assert [] == estate.shelf.asked


def test_a_row_that_is_wrong(estate: Estate) -> None:
    """It is in quarantine with the place of each problem, and not read again until it changed."""
    for _ in range(2):
        with pytest.raises(TenantQuarantinedError) as caught:
            estate.catalog.get("wrong")
    [problem] = caught.value.problems
    assert "shelf:tenants/wrong" == getattr(problem.site, "file", "")
    assert (problem,) == estate.catalog.problems("wrong")
    assert ["wrong"] == estate.shelf.asked
    assert ["TenantQuarantined"] == [type(event).__name__ for event in estate.heard]

    estate.shelf.put("wrong", {"max_retries": 5})
    estate.catalog.poll()
    assert 5 == estate.retries("wrong")
    assert () == estate.catalog.problems("wrong")


def test_only_who_is_loaded(estate: Estate) -> None:
    """An event loop may ask for what is in memory; nothing is read."""
    with pytest.raises(TenantNotLoadedError):
        estate.catalog.loaded("acme")
    estate.catalog.get("acme")
    assert "acme" == estate.catalog.loaded("acme").name
    assert ["acme"] == estate.catalog.loaded_names()
    assert ["acme"] == estate.shelf.asked


async def test_reading_without_holding_up_the_loop(estate: Estate) -> None:
    """A tenant is read on another thread, and once it is there at once."""
    threads: list[int] = []
    estate.shelf.before_row = lambda: threads.append(threading.get_ident())
    reading = asyncio.ensure_future(estate.catalog.aget("acme"))
    await asyncio.sleep(0)
    await asyncio.to_thread(estate.book.work)
    assert "acme" == (await reading).name
    assert threading.get_ident() not in threads
    assert "acme" == (await estate.catalog.aget("acme")).name
    assert 1 == len(threads)


async def test_who_gives_up_takes_nobody_along(estate: Estate) -> None:
    """A task that is cancelled while a tenant is read leaves the others their read."""
    one, other = (asyncio.ensure_future(estate.catalog.aget("acme")) for _ in range(2))
    await asyncio.sleep(0)
    one.cancel()
    await asyncio.to_thread(estate.book.work)
    assert "acme" == (await other).name
    assert one.cancelled()


async def test_what_is_wrong_reaches_who_awaits(estate: Estate) -> None:
    """Awaiting raises what reading does."""
    for name, error in (("wonka", UnknownTenantError), ("wrong", TenantQuarantinedError)):
        reading = asyncio.ensure_future(estate.catalog.aget(name))
        await asyncio.sleep(0)
        await asyncio.to_thread(estate.book.work)
        with pytest.raises(error):
            await reading


def test_names(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine is asked how many there are, for one of them, or for page after page."""
    monkeypatch.setattr("tenantry.catalog.names.PAGE", 2)
    names = estate.catalog.names()
    assert 3 == len(names)
    assert ["acme", "globex", "wrong"] == list(names)
    assert [True, True, False, False] == [each in names for each in ("acme", "wrong", "no", 5)]


def test_some_who_speak_for_all(estate: Estate) -> None:
    """Of tenants whose sources are looked at, those loaded come first; the engine is asked once."""
    estate.catalog.get("globex")
    assert ["globex", "acme", "globex"] == [each.name for each in estate.catalog.sample()]
    estate.shelf.away = "gone"
    assert 3 == len(list(estate.catalog.sample()))  # nothing changed since
