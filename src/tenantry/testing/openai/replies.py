"""JSON bodies that never vary: ids and times are fixed, the model is the one that was asked for."""

from __future__ import annotations

import base64
import struct
from functools import lru_cache
from typing import TYPE_CHECKING

from tenantry.testing.openai.answers import encode

if TYPE_CHECKING:
    from collections.abc import Sequence

CREATED = 1_760_000_000
CHAT_ID = "chatcmpl-tenantry"
RESPONSE_ID = "resp_tenantry"
MESSAGE_ID = "msg_tenantry"
PROMPT_TOKENS = 8
COORDINATE = 0.5


@lru_cache(maxsize=256)
def chat_completion(model: str, text: str) -> bytes:
    """Return a chat completion of one choice."""
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return encode(
        {
            "id": CHAT_ID,
            "object": "chat.completion",
            "created": CREATED,
            "model": model,
            "choices": [choice],
            "usage": chat_usage(text),
            "service_tier": "default",
            "system_fingerprint": "fp_tenantry",
        }
    )


def chat_usage(text: str) -> dict[str, object]:
    """Count a word of the reply as one token."""
    tokens = len(text.split())
    return {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": tokens,
        "total_tokens": PROMPT_TOKENS + tokens,
    }


@lru_cache(maxsize=256)
def response(model: str, text: str) -> bytes:
    """Return a completed response."""
    return encode(response_object(model, text))


def response_object(model: str, text: str) -> dict[str, object]:
    """Return a completed response of one message."""
    return {
        **_response(model, "completed"),
        "output": [output_message(text)],
        "usage": _response_usage(text),
    }


def unfinished_response(model: str) -> dict[str, object]:
    """Return a response that has no output yet."""
    return {**_response(model, "in_progress"), "output": [], "usage": None}


def _response(model: str, status: str) -> dict[str, object]:
    return {
        "id": RESPONSE_ID,
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
    }


def output_message(text: str) -> dict[str, object]:
    """Return a completed output item of one text."""
    return {**unfinished_message(), "status": "completed", "content": [output_text(text)]}


def unfinished_message() -> dict[str, object]:
    """Return an output item that has no content yet."""
    return {
        "id": MESSAGE_ID,
        "type": "message",
        "role": "assistant",
        "status": "in_progress",
        "content": [],
    }


def output_text(text: str) -> dict[str, object]:
    """Return a content part."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _response_usage(text: str) -> dict[str, object]:
    tokens = len(text.split())
    return {
        "input_tokens": PROMPT_TOKENS,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": PROMPT_TOKENS + tokens,
    }


@lru_cache(maxsize=256)
def embeddings(model: str, count: int, dimensions: int, *, as_base64: bool) -> bytes:
    """Return `count` equal vectors whose every coordinate is `COORDINATE`."""
    vector = _vector(dimensions, as_base64=as_base64)
    usage = {"prompt_tokens": count, "total_tokens": count}
    data = [{"object": "embedding", "index": n, "embedding": vector} for n in range(count)]
    return encode({"object": "list", "data": data, "model": model, "usage": usage})


def _vector(dimensions: int, *, as_base64: bool) -> str | list[float]:
    vector = [COORDINATE] * dimensions
    if not as_base64:
        return vector
    return base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode()


def model(name: str) -> dict[str, object]:
    """Return what the models endpoint says of a model."""
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "tenantry"}


def listing(data: Sequence[dict[str, object]]) -> bytes:
    """Return one last page of objects that have an `id`."""
    first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
    return encode(
        {
            "object": "list",
            "data": list(data),
            "first_id": first,
            "last_id": last,
            "has_more": False,
        }
    )


def project() -> dict[str, object]:
    """Return the one project of the organization."""
    return {
        "id": "proj_tenantry",
        "object": "organization.project",
        "name": "tenantry",
        "created_at": CREATED,
        "archived_at": None,
        "status": "active",
    }
