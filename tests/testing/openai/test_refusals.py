from __future__ import annotations

import json
from typing import Any

import pytest

from tenantry.testing.openai.keys import CONFLICT, NOTHING, Presented
from tenantry.testing.openai.refusals import refuse, refuse_key
from tenantry.testing.openai.routes import Surface

SECRET = "sk-never-shown"
BEARER = Presented(SECRET, "bearer")
API_KEY = Presented(SECRET, "api-key")
AZURE = [Surface.AZURE, Surface.AZURE_DEPLOYMENT, Surface.AZURE_V1]


def error(body: bytes) -> Any:
    return json.loads(body)["error"]


def test_openai_words_a_wrong_key() -> None:
    """OpenAI's 401 says invalid_api_key, whatever was wrong with the key."""
    answers = [refuse_key(Surface.OPENAI, presented) for presented in (BEARER, API_KEY, CONFLICT)]
    assert [401, 401, 401] == [answer.status for answer in answers]
    assert {"invalid_api_key"} == {error(answer.body)["code"] for answer in answers}


def test_openai_words_an_absent_key() -> None:
    """Without a key OpenAI says so."""
    assert "You didn't provide" in error(refuse_key(Surface.OPENAI, NOTHING).body)["message"]


@pytest.mark.parametrize("surface", AZURE)
def test_azure_tells_keys_from_tokens(surface: Surface) -> None:
    """Azure's 401 speaks of a subscription key or of an access token."""
    key, token = (error(refuse_key(surface, presented).body) for presented in (API_KEY, BEARER))
    assert ("401", "401") == (key["code"], token["code"])
    assert ("subscription key" in key["message"], "Access token" in token["message"]) == (
        True,
        True,
    )


@pytest.mark.parametrize("surface", list(Surface))
@pytest.mark.parametrize("presented", [BEARER, API_KEY])
def test_no_refusal_repeats_the_key(surface: Surface, presented: Presented) -> None:
    """No 401 holds the key, masked or not."""
    assert SECRET.encode() not in refuse_key(surface, presented).body


@pytest.mark.parametrize("surface", list(Surface))
@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 418, 429, 500, 502, 503, 529])
def test_every_error_has_a_wording(surface: Surface, status: int) -> None:
    """Each status has a body on each surface, also one that HTTP does not know."""
    answer = refuse(status, surface)
    assert status == answer.status
    assert error(answer.body)


@pytest.mark.parametrize(("seconds", "value"), [(3, b"3"), (0.25, b"0.25"), (0, b"0")])
def test_retry_after_is_in_seconds(seconds: float, value: bytes) -> None:
    """Retry-After is sent where it was asked for."""
    assert ((b"retry-after", value),) == refuse(429, retry_after=seconds).headers
