from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import ValidationError

from tenantry.errors import CredentialUnavailableError, Failure, SourceError
from tenantry.sources.first_of import FirstOfReference

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.sources.conftest import Bench

LIMIT = 10.0  # seconds after which a test that hangs fails


class Safe:
    """A member whose answer belongs to the test."""

    def __init__(self, reply: str | SourceError) -> None:
        self.reply = reply
        self.asked = 0

    def __call__(self) -> str:
        self.asked += 1
        if isinstance(self.reply, SourceError):
            raise self.reply
        return self.reply


def absent() -> Safe:
    return Safe(SourceError("not here", failure=Failure.ABSENT))


def first_of(*members: Any) -> dict[str, Any]:
    return {"first_of": [{"python": each} if callable(each) else each for each in members]}


def test_the_first_that_is_there_wins(opened: Callable[..., Bench]) -> None:
    """Members are asked in order until one has the secret; the others are left alone."""
    first, second, third = absent(), Safe("second"), Safe("third")
    assert "second" == opened().value(first_of(first, second, third))
    assert (1, 1, 0) == (first.asked, second.asked, third.asked)


def test_it_moves_on_from_an_absent_variable(opened: Callable[..., Bench]) -> None:
    """A migration from one store to another needs no change of the tenants."""
    bench = opened(environ={"NEW": "new"})
    assert "new" == bench.value(first_of({"env": "OLD"}, {"env": "NEW"}))


def test_a_member_names_its_own_field(opened: Callable[..., Bench]) -> None:
    """A member's document has its own fields; with several, the reference names one."""
    bench = opened(environ={"KEYS": '{"a": "x", "b": "y"}', "ONE": '{"only": "z"}'})
    assert "y" == bench.value(first_of({"env": {"name": "KEYS", "field": "b"}}))
    assert "z" == bench.value(first_of({"env": "ONE"}))
    assert "not exactly one field; it has: a, b" in str(bench.error(first_of({"env": "KEYS"})))


@pytest.mark.parametrize("failure", [Failure.TRANSIENT, Failure.DENIED])
def test_a_member_that_fails_is_not_passed_over(
    opened: Callable[..., Bench], failure: Failure
) -> None:
    """A member that cannot be reached or read may well have the right secret: it stops there."""
    broken, other = Safe(SourceError("sealed", failure=failure)), Safe("other")
    error = opened().error(first_of(absent(), broken, other))
    assert (failure, 0) == (error.failure, other.asked)
    assert "sealed" in str(error)
    assert error.retry_after is not None
    assert error.retry_after > 0


def test_where_all_are_absent_each_is_named(opened: Callable[..., Bench]) -> None:
    """The error lists every member with its reason, and is absence itself."""
    error = opened().error(first_of({"env": "A"}, {"env": "B"}))
    assert Failure.ABSENT is error.failure
    assert "env A: variable A is not set; env B: variable B is not set" == error.reason


def test_a_member_without_a_classified_cause_stops_too(opened: Callable[..., Bench]) -> None:
    """Whatever a member raises that is not absence is a failure of the whole."""

    def broken() -> str:
        raise ValueError("broken")

    error = opened().error(first_of(broken, Safe("other")))
    assert Failure.TRANSIENT is error.failure


def test_a_rejected_secret_asks_the_members_anew(opened: Callable[..., Bench]) -> None:
    """After a 401 the member's own cache does not answer: a rotation behind it is found."""
    safe = Safe("old")
    credential = opened().credential(first_of(absent(), safe))
    old = credential.get()
    safe.reply = "new"
    found = credential.keeper.replacement(old, credential.readable)
    assert found is not None
    assert ("new", 2) == (credential.read(found).reveal(), safe.asked)


def test_a_forced_fetch_of_a_failing_member_fails(opened: Callable[..., Bench]) -> None:
    """A forced fetch that cannot reach the member does not pass its old value off as new."""
    safe = Safe("old")
    bench = opened()
    bench.fetch(first_of(safe))
    safe.reply = SourceError("sealed")
    assert "sealed" in str(bench.error(first_of(safe), forced=True))
    assert "old" == bench.value(first_of(safe))


def test_a_member_that_comes_later_is_found(opened: Callable[..., Bench]) -> None:
    """What was absent is asked again at the next forced fetch."""
    early, late = absent(), Safe("late")
    bench = opened()
    assert "late" == bench.value(first_of(early, late))
    early.reply = "early"
    found = bench.fetch(first_of(early, late), forced=True)
    assert "early" == found.secret(None, "api_key").reveal()


def test_nesting_does_not_starve(opened: Callable[..., Bench]) -> None:
    """Twenty cold nested references do not wait for threads that they hold themselves."""
    bench, together = opened(), threading.Barrier(8)

    def member(number: int) -> Callable[[], str]:
        def call() -> str:
            if number < 8:
                together.wait(LIMIT)
            return f"key-{number}"

        return call

    credentials = [
        bench.credential(first_of(absent(), first_of(absent(), member(number))))
        for number in range(20)
    ]
    for credential in credentials:
        credential.prefetch()
    assert [f"key-{number}" for number in range(20)] == [
        each.get().reveal() for each in credentials
    ]


def test_a_hanging_store_does_not_hold_up_other_choices(opened: Callable[..., Bench]) -> None:
    """Choices among other sources are not behind those that wait for a store that hangs."""
    go_on, bench = threading.Event(), opened(environ={"KEY": "key"})

    def hang(number: int) -> Callable[[], str]:
        def call() -> str:
            assert go_on.wait(LIMIT)
            return str(number)

        return call

    for number in range(10):
        bench.credential(first_of(hang(number))).prefetch()
    assert "key" == bench.credential(first_of({"env": "KEY"})).get().reveal()
    go_on.set()


def test_an_error_shows_no_members_secret(
    opened: Callable[..., Bench], shown: Callable[[BaseException, str], bool]
) -> None:
    """A member whose value cannot be used is named, and not shown."""
    bench = opened(environ={"KEY": "sk-planted\nx"})
    with pytest.raises(CredentialUnavailableError, match="env KEY") as caught:
        bench.credential(first_of({"env": "KEY"})).get()
    assert not shown(caught.value, "sk-planted")


def test_how_a_reference_is_read_and_shown(opened: Callable[..., Bench]) -> None:
    """It is shown by its members, has them as nested references, and needs at least one."""
    reference = opened().reference(first_of({"env": "A"}, {"file": "/b"}))
    assert "first_of env A, file /b" == str(reference)
    assert ["env", "file"] == [each.source for each in reference.options.nested()]
    with pytest.raises(ValidationError, match="at least 1 item"):
        FirstOfReference(members=())
