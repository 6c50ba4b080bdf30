from __future__ import annotations

import pytest

from tenantry.testing.vault import RefusedError, times


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, 0),
        ("", 0),
        (90, 90),
        (1.9, 1),
        ("90", 90),
        ("90s", 90),
        ("1h30m", 5400),
        ("2d", 172800),
    ],
)
def test_a_duration_is_read_in_every_notation(given: object, expected: int) -> None:
    """Numbers, digits and Go's notation all mean seconds."""
    assert expected == times.seconds(given)


def test_nonsense_is_no_duration() -> None:
    """A text that is no duration is refused with 400."""
    with pytest.raises(RefusedError, match="invalid duration") as refused:
        times.seconds("soon")

    assert 400 == refused.value.status


@pytest.mark.parametrize(
    ("given", "expected"), [(0, "0s"), (6, "6s"), (3600, "1h"), (5430, "1h30m30s")]
)
def test_a_duration_is_worded_without_zeros(given: int, expected: str) -> None:
    """Units that are zero are left out."""
    assert expected == times.notation(given)


def test_a_timestamp_has_nanoseconds() -> None:
    """Times are RFC 3339 in UTC, and one that has not come is empty."""
    assert "2023-11-14T22:13:20.500000000Z" == times.timestamp(1_700_000_000.5)
    assert "" == times.timestamp_or_empty(None)
    assert "1970-01-01T00:00:01.000000000Z" == times.timestamp_or_empty(1)


def test_what_is_left_is_rounded_as_vault_does() -> None:
    """The present is rounded to a second before it is subtracted, and nothing is negative."""
    assert 6 == times.time_left(106.3, 100.4)
    assert 5 == times.time_left(106.3, 100.6)
    assert 0 == times.time_left(100, 200)


def test_a_ttl_ends_where_its_limit_does() -> None:
    """A TTL beyond the limit is capped with a warning, and refused where nothing is left."""
    assert (5, None) == times.capped(5, limit=10, issued=0.5, now=4.2)
    assert (
        6,
        ['TTL of "1h" exceeded the effective max_ttl of "6s"; TTL value is capped accordingly'],
    ) == (times.capped(3600, limit=10, issued=0.5, now=4.9))
    with pytest.raises(RefusedError, match="past the max TTL"):
        times.capped(5, limit=10, issued=0, now=10)
