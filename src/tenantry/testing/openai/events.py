"""The server-sent events of a streamed chat completion and of a streamed response."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING

from tenantry.testing.openai import replies
from tenantry.testing.openai.answers import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

DONE = b"data: [DONE]\n\n"


@lru_cache(maxsize=256)
def chat_events(model: str, text: str, *, include_usage: bool) -> tuple[bytes, ...]:
    """Return a chunk for the role, one for each word, one for the end, and `[DONE]`."""
    chunks = [_chunk(model, choices=[_choice({"role": "assistant", "content": ""})])]
    chunks += [_chunk(model, choices=[_choice({"content": word})]) for word in words(text)]
    chunks.append(_chunk(model, choices=[_choice({}, finish_reason="stop")]))
    if include_usage:
        chunks.append(_chunk(model, choices=[], usage=replies.chat_usage(text)))
    return (*(b"data: " + encode(chunk) + b"\n\n" for chunk in chunks), DONE)


def words(text: str) -> list[str]:
    """Cut a text into words with the blanks that follow them; joined, they are the text."""
    return re.findall(r"\S+\s*|\s+", text)


def _chunk(model: str, **rest: object) -> dict[str, object]:
    return {
        "id": replies.CHAT_ID,
        "object": "chat.completion.chunk",
        "created": replies.CREATED,
        "model": model,
        **rest,
    }


def _choice(delta: dict[str, object], finish_reason: str | None = None) -> dict[str, object]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


@lru_cache(maxsize=256)
def response_events(model: str, text: str) -> tuple[bytes, ...]:
    """Return everything from `response.created` to `response.completed`, numbered from 0."""
    kinds = (kind.encode() for kind, _ in _response_steps(model, text))
    messages = zip(kinds, response_messages(model, text), strict=True)
    return tuple(b"event: %b\ndata: %b\n\n" % message for message in messages)


@lru_cache(maxsize=256)
def response_messages(model: str, text: str) -> tuple[bytes, ...]:
    """Return the same as a WebSocket says it: JSON alone."""
    numbers = count()
    return tuple(
        encode({"type": kind, "sequence_number": next(numbers), **rest})
        for kind, rest in _response_steps(model, text)
    )


def _response_steps(model: str, text: str) -> Iterator[tuple[str, dict[str, object]]]:
    unfinished = replies.unfinished_response(model)
    yield "response.created", {"response": unfinished}
    yield "response.in_progress", {"response": unfinished}
    yield "response.output_item.added", {"output_index": 0, "item": replies.unfinished_message()}
    yield from _text_steps(text)
    yield "response.output_item.done", {"output_index": 0, "item": replies.output_message(text)}
    yield "response.completed", {"response": replies.response_object(model, text)}


def _text_steps(text: str) -> Iterator[tuple[str, dict[str, object]]]:
    place = {"item_id": replies.MESSAGE_ID, "output_index": 0, "content_index": 0}
    yield "response.content_part.added", {**place, "part": replies.output_text("")}
    for word in words(text):
        yield "response.output_text.delta", {**place, "delta": word, "logprobs": []}
    yield "response.output_text.done", {**place, "text": text, "logprobs": []}
    yield "response.content_part.done", {**place, "part": replies.output_text(text)}
