"""What a secret looks like wherever it is written, and the places where errors show it."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from tests.planted.estate import PLANTED
from tests.planted.hunting import Hunt, found_in, tracebacks


def test_the_hunt_finds_what_is_there() -> None:
    """A search that finds nothing must be able to find something, in each of its forms."""
    secret = PLANTED["key"]
    coded = [base64.b64encode(b"x" * length + secret.encode()).decode() for length in range(3)]
    for text in (secret, quote(secret, safe=""), *coded, f"Bearer {secret}"):
        assert found_in({"somewhere": text}, {"key": secret}), text
    assert [] == found_in({"somewhere": "sk-planted/other"}, {"key": secret})


def test_locals_of_frames_are_looked_at() -> None:
    """What the hunt sees of an error includes what its frames hold, where they are not its own."""
    hunt = Hunt(tracebacks)
    hunt.fails("reading", lambda: json.loads(PLANTED["key"]))
    assert 3 == len(hunt.surfaces) == len(found_in(hunt.surfaces, {"key": PLANTED["key"]}))


async def test_errors_of_coroutines_are_looked_at() -> None:
    """With the frames that they were awaited in."""

    async def read() -> None:
        json.loads(PLANTED["key"])

    hunt = Hunt(tracebacks)
    await hunt.afails("reading", read())
    assert 3 == len(hunt.surfaces) == len(found_in(hunt.surfaces, {"key": PLANTED["key"]}))


def test_what_does_not_fail_is_told() -> None:
    """An errand that was to fail and did not hides what would have been seen."""
    with pytest.raises(pytest.fail.Exception):
        Hunt().fails("nothing", lambda: None)
