from __future__ import annotations

import json

import pytest

from tenantry.testing.openai.events import DONE, chat_events, response_events, words


@pytest.mark.parametrize("text", ["", " ", "one", "one two", " one\n\ntwo  "])
def test_words_join_to_the_text(text: str) -> None:
    """Nothing is lost when a text is cut into words."""
    assert text == "".join(words(text))


def test_a_chat_stream_ends_with_done() -> None:
    """A chat stream has a chunk for the role, each word and the end, then [DONE]."""
    events = chat_events("gpt-x", "one two", include_usage=False)
    assert (5, DONE) == (len(events), events[-1])


def test_usage_is_a_chunk_of_its_own() -> None:
    """Usage comes last and without choices, and only where it was asked for."""
    *_, last, done = chat_events("gpt-x", "one two", include_usage=True)
    chunk = json.loads(last.removeprefix(b"data: "))
    assert ([], 2, DONE) == (chunk["choices"], chunk["usage"]["completion_tokens"], done)


def test_response_events_are_numbered() -> None:
    """The events of a response carry their numbers from 0, and name their type twice."""
    events = [event.decode().split("\n") for event in response_events("gpt-x", "one two")]
    data = [json.loads(lines[1].removeprefix("data: ")) for lines in events]
    assert list(range(10)) == [item["sequence_number"] for item in data]
    assert [lines[0] for lines in events] == [f"event: {item['type']}" for item in data]
