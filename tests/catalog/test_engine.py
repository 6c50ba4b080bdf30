from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tenantry.catalog.engine import (
    MOST_CHANGES,
    Changed,
    Write,
    checked_version,
    known,
    position,
    said_in,
    sorted_out,
    unprepared,
)
from tenantry.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence


def test_the_last_word_of_each_is_written() -> None:
    """Of one name only the last change counts, as columns that belong together."""
    changes = sorted_out(
        [Write("a", None), Write("B-1", {"x": 1}), Write("a", {}), Write("c", None)]
    )

    assert (["c"], ["a", "B-1"]) == (changes.removed, changes.names)
    assert (["a", "b_1"], ["{}", '{"x": 1}']) == (changes.folded, changes.said)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1}, object()])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    """What would not come back as it is is refused, and not shown: it may be a secret."""
    with pytest.raises(ConfigError, match=r"tenants\.acme: says something that JSON") as caught:
        sorted_out([Write("acme", {"labels": {"x": value}})])

    assert caught.value.__cause__ is caught.value.__context__ is None


@pytest.mark.parametrize(
    ("since", "revision", "oldest", "names", "expected"),
    [
        (3, 5, 1, ["a", "a", "b"], {"a", "b"}),
        (5, 5, 1, [], set()),
        (3, 5, 4, ["a"], {"a"}),  # the first that is kept is the next one
        (2, 5, 4, ["a"], None),  # one is missing
        (6, 5, 1, [], None),  # from the future
        (0, 5, 1, ["a"] * (MOST_CHANGES + 1), None),
    ],
)
def test_what_is_known_of_changes(
    since: int, revision: int, oldest: int, names: Sequence[str], expected: set[str] | None
) -> None:
    """Names are told where the history has every revision since, and not too many of them."""
    assert Changed(revision, expected) == known(since, revision, oldest, names)


@pytest.mark.parametrize("text", ["[1]", "", '"hunter2"', "{hunter2", '{"a":' * 2000])
def test_a_text_that_is_no_mapping(text: str) -> None:
    """A row that holds something else names its place and none of its text."""
    with pytest.raises(ConfigError, match="sqlite:tenants/acme") as caught:
        said_in(text, "sqlite", "acme")

    assert "hunter2" not in str(caught.value)
    assert caught.value.__context__ is None


def test_words() -> None:
    """A place, a version and a missing table are worded in one way for all."""
    said: dict[str, Any] = {"a": 1}

    assert "postgres:tenants/acme" == position("postgres", "acme")
    assert said == said_in('{"a": 1}', "sqlite", "acme")
    assert 1 == checked_version("sqlite", 1)
    assert "tenantry catalog init" in str(unprepared("sqlite"))
