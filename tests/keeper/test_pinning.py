"""A version that somebody wants serves for a while, and nothing else does."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING

import pytest

from tenantry.errors import SourceError
from tenantry.secret import Document, Secret

if TYPE_CHECKING:
    from tests.keeper.conftest import Kept

    from tenantry.flight import Change, Fetch
    from tenantry.holding import Held

LIMIT = 10.0  # seconds after which a test that hangs fails


class Versions:
    """What asks the store for one version of the document."""

    def __init__(self, kept: Kept) -> None:
        self.store = kept.store
        self.asked: list[str] = []

    def __call__(self, *, forced: bool) -> Document:
        return self.store(forced=forced)

    def at(self, version: str) -> Fetch:
        def fetch(*, forced: bool) -> Document:
            del forced
            self.asked.append(version)
            if version == "gone":
                reason = "there is no such version"
                raise SourceError(reason)
            return Document(f"v{version}", version=version.removesuffix("?"))

        return fetch


@pytest.fixture
def versions(kept: Kept) -> Versions:
    """The keeper holds version 2 of a document that has several."""
    made = kept.keeper._fetch = Versions(kept)
    kept.store.reply = Document("v2", version="2")
    kept.hold()
    return made


def read(held: Held) -> Secret:
    return held.document.secret(None, "api_key")


def serving(kept: Kept) -> str:
    return read(kept.keeper.current()).reveal()


def pin(kept: Kept, version: str, seconds: float = 60.0) -> Change:
    kept.keeper.pin(kept.keeper.of_version(version).result(LIMIT), seconds)
    return kept.landed()


def fetched(kept: Kept, value: str, *, drop_previous: bool = False) -> None:
    kept.store.reply = Document(value, version=value.removeprefix("v"))
    kept.keeper.refresh(drop_previous=drop_previous).wait(LIMIT)
    kept.landed()


def test_the_version_that_was_asked_for_serves(kept: Kept, versions: Versions) -> None:
    """It is fetched, and serves although a newer one is held, to those who try new values, too."""
    told = pin(kept, "1")
    assert ("pinned", ["1"], "v1") == (told.pin, versions.asked, serving(kept))
    assert told.held is kept.keeper.held is kept.keeper.current(trying=True)
    assert -math.inf == kept.keeper.holding.fresh_until


def test_a_version_that_is_held_is_not_fetched(kept: Kept, versions: Versions) -> None:
    """What serves, or served before it, is pinned without asking the source."""
    fetched(kept, "v3")
    pin(kept, "2")
    assert (["v2"], []) == ([serving(kept)], versions.asked)


def test_what_comes_meanwhile_is_kept_for_afterwards(kept: Kept, versions: Versions) -> None:
    """Refreshes go on behind a pin; the newest value serves once it is over."""
    pin(kept, "1")
    kept.clock.now += 30.0
    fetched(kept, "v3")
    assert "v1" == serving(kept)
    assert kept.keeper.unpin()
    assert ("asked", "v3") == (kept.landed().pin, serving(kept))
    assert not kept.keeper.unpin()


def test_a_pin_ends_by_itself(kept: Kept, versions: Versions) -> None:
    """At its time the newest value serves, before anybody was told; the schedule tells."""
    pin(kept, "1", 60.0)
    kept.clock.now += 59.0
    kept.keeper.due()
    assert "v1" == serving(kept)
    kept.clock.now += 1.0
    assert "v2" == serving(kept)
    kept.keeper.due()
    assert "expired" == kept.landed().pin
    assert kept.keeper.holding.fresh_until > kept.clock.now


def test_a_pin_does_not_outlive_its_secret(kept: Kept, versions: Versions) -> None:
    """What expires is not served longer for being pinned."""
    kept.store.reply = Document("v5", version="5", lifetime=20.0)
    kept.keeper.refresh(drop_previous=True).wait(LIMIT)
    kept.landed()
    kept.clock.now += 5.0
    told = pin(kept, "5", 600.0)
    assert told.held is not None
    assert 15.0 == told.held.limits.hard - kept.clock.now


def test_what_cannot_be_had_changes_nothing(kept: Kept, versions: Versions) -> None:
    """A version that is gone, or another one in its place, leaves what serves."""
    with pytest.raises(SourceError, match="no such version"):
        kept.keeper.of_version("gone").result(LIMIT)
    with pytest.raises(SourceError, match=r"'7\?' was asked for, and '7' came"):
        kept.keeper.of_version("7?").result(LIMIT)
    assert ("v2", None) == (serving(kept), kept.keeper.error)


def test_a_source_without_versions_says_so(kept: Kept) -> None:
    """What is held can be pinned, nothing else."""
    kept.hold()
    with pytest.raises(SourceError, match="no versions to ask for, and version '7' is not held"):
        kept.keeper.of_version("7").result(LIMIT)
    assert "1" == kept.keeper.of_version("1").result(LIMIT).document.version


def test_a_401_is_handed_on(kept: Kept, versions: Versions) -> None:
    """Whoever pins a version wants to see what happens with it: no other, and no fetch."""
    pin(kept, "1")
    kept.store.asked.clear()
    assert kept.keeper.replacement(Secret("v1"), read) is None
    found = kept.keeper.replacement(Secret("v2"), read)  # sent before the pin
    assert found is not None
    assert ("v1", []) == (read(found).reveal(), kept.store.asked)


def test_a_pin_during_a_401_counts(kept: Kept, versions: Versions) -> None:
    """Who waits for another value meanwhile is given the pinned one."""
    go_on = kept.store.hang()
    answers: list[Held | None] = []
    ask = threading.Thread(
        target=lambda: answers.append(kept.keeper.replacement(Secret("v2"), read))
    )
    ask.start()
    kept.store.wait_until_asked()
    pin(kept, "1")
    go_on.set()
    ask.join(LIMIT)
    assert ["v1"] == [read(held).reveal() for held in answers if held is not None]


def test_another_pin_replaces_the_first(kept: Kept, versions: Versions) -> None:
    """Both are told."""
    pin(kept, "1")
    assert ("replaced", "pinned") == (pin(kept, "4").pin, kept.landed().pin)
    assert "v4" == serving(kept)


def rotated(kept: Kept) -> None:
    kept.clock.now += 1.0
    kept.keeper.outdate(kept.clock.now)


@pytest.mark.parametrize(
    "end",
    [
        lambda kept: fetched(kept, "v3", drop_previous=True),
        lambda kept: kept.keeper.forget(),
        rotated,
    ],
    ids=["drop_previous", "forget", "outdate"],
)
def test_what_lets_nothing_older_serve_ends_a_pin(
    kept: Kept, versions: Versions, end: object
) -> None:
    """A key that leaked does not serve on for being pinned."""
    pin(kept, "1")
    assert callable(end)
    end(kept)
    told = [kept.landed()]
    while told[-1].pin != "dropped":
        told.append(kept.landed())
    assert kept.keeper.holding.pin is None


def test_a_keeper_that_is_pinned_is_not_empty(kept: Kept) -> None:
    """It is kept when its tenant's clients are let go."""
    kept.keeper._fetch = Versions(kept)
    assert kept.keeper.empty
    pin(kept, "1")
    assert not kept.keeper.empty
