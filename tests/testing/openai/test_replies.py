from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest

from tenantry.testing.openai import replies


def test_usage_adds_up() -> None:
    """Each word of the reply is one token, and the total is the sum."""
    chat = json.loads(replies.chat_completion("gpt-x", "one two three"))["usage"]
    response = json.loads(replies.response("gpt-x", "one two three"))["usage"]
    assert (3, 11) == (chat["completion_tokens"], chat["total_tokens"])
    assert (3, 11) == (response["output_tokens"], response["total_tokens"])


def test_bodies_are_canned() -> None:
    """The same question is answered with the very same bytes object."""
    assert replies.chat_completion("gpt-x", "one") is replies.chat_completion("gpt-x", "one")


def test_embeddings_are_the_same_in_both_encodings() -> None:
    """A vector in base64 is the vector in JSON, as little-endian 32-bit floats."""
    plain, packed = (
        json.loads(replies.embeddings("e", 1, 3, as_base64=as_base64))["data"][0]["embedding"]
        for as_base64 in (False, True)
    )
    assert plain == list(struct.unpack("<3f", base64.b64decode(packed)))


@pytest.mark.parametrize(
    ("data", "ends"),
    [([], (None, None)), ([{"id": "a"}, {"id": "b"}], ("a", "b"))],
)
def test_a_listing_is_one_last_page(
    data: list[dict[str, Any]], ends: tuple[str | None, str | None]
) -> None:
    """A listing names its ends and says that nothing follows."""
    page = json.loads(replies.listing(data))
    assert (data, False) == (page["data"], page["has_more"])
    assert ends == (page["first_id"], page["last_id"])
