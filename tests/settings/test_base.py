from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tenantry.freshness import RefreshPolicy
from tenantry.settings import Model, RefreshSettings, Seconds, folded, invalid, nearest
from tenantry.settings.base import HttpUrl, WebsocketUrl


class Part(Model):
    wait: Seconds = 1.0


def fault(kind: Any, value: object) -> str:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    [error] = caught.value.errors()
    return error["msg"]


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (0, 0.0),
        (5, 5.0),
        (0.25, 0.25),
        ("250ms", 0.25),
        ("5s", 5.0),
        ("1.5m", 90.0),
        ("10 m", 600.0),
        (" 1h ", 3600.0),
        ("7d", 604_800.0),
    ],
)
def test_seconds(said: object, seconds: float) -> None:
    """A duration is a number of seconds, or text with a unit."""
    assert seconds == TypeAdapter[float](Seconds).validate_python(said)


@pytest.mark.parametrize(
    "said",
    [
        -1,
        True,
        "5",
        "-5s",
        "5 sec",
        "s",
        "1h30m",
        "",
        None,
        [],
        float("inf"),
        float("nan"),
        1e999,
        "9" * 400 + "d",
    ],
)
def test_no_duration(said: object) -> None:
    """What is negative, endless or without a known unit is no duration."""
    message = "is not a duration: write seconds as a number, or 250ms, 5s, 10m, 1h, 7d"

    assert message == fault(Seconds, said)


@pytest.mark.parametrize(
    "url",
    ["https://api.openai.com/v1/", "http://localhost:8080", "HTTPS://[::1]/?a=@b", "http://x#@"],
)
def test_http_url(url: str) -> None:
    """An address is kept as it is written."""
    assert url == TypeAdapter[str](HttpUrl).validate_python(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.openai.com",
        "ftp://x",
        "https://",
        "https:///x",
        "//x",
        "wss://x",
        "https://[::1",
        "https://x:port",
        "https://x:99999",
        "https://x:0",
        "https://a..test",
        "https://xn--bcher-kva.test..",
        "https://xn--bcher-kva.test%2e",
        "https://xn--.test",
        "https://a:hunter2℀@x",
        5,
        None,
        ["https://x"],
    ],
)
def test_no_http_url(url: object) -> None:
    """What has no host, no port that can be one, or another scheme is refused unseen."""
    assert "is not an http(s) URL" == fault(HttpUrl, url)


@pytest.mark.parametrize("url", ["wss://x/v1", "ws://localhost:1"])
def test_websocket_url(url: str) -> None:
    """A WebSocket has an address of its own scheme."""
    assert url == TypeAdapter[str](WebsocketUrl).validate_python(url)


@pytest.mark.parametrize("url", ["https://x", "wss://", "x", 5, None])
def test_no_websocket_url(url: object) -> None:
    """Other schemes are refused."""
    assert "is not a ws(s) URL" == fault(WebsocketUrl, url)


@pytest.mark.parametrize(
    ("kind", "url"),
    [
        (HttpUrl, "https://user:hunter2@x"),
        (HttpUrl, "https://hunter2@x"),
        (HttpUrl, "https://api.openai.com\\@evil.io"),
        (HttpUrl, "https:/\n/user@x"),
        (WebsocketUrl, "wss://user:hunter2@x"),
    ],
)
def test_user_information(kind: Any, url: str) -> None:
    """User information would be sent instead of the key."""
    message = (
        "holds a user name or password (not shown), which would be sent instead of the key:"
        " leave it out"
    )

    assert message == fault(kind, url)


def test_model() -> None:
    """A model refuses keys that it does not know, does not change, and shows no input."""
    with pytest.raises(ValidationError, match="frozen"):
        Part().wait = 2.0  # type: ignore[misc]  # that it is refused is what is tested
    with pytest.raises(ValidationError) as caught:
        Part.model_validate({"wait": "hunter2", "wiat": "hunter2"})

    assert ["invalid", "extra_forbidden"] == [
        "invalid" if error["type"] == "tenantry" else error["type"]
        for error in caught.value.errors()
    ]
    assert "hunter2" not in f"{caught.value!s}{caught.value!r}"


def test_invalid() -> None:
    """An error's message names facts in braces, and keeps other braces."""
    assert "write {env: NAME}, not x" == invalid("write {env: NAME}, not {it}", it="x").message()
    assert "write {env: NAME}" == invalid("write {env: NAME}").message()


def test_folded() -> None:
    """Case and `-_.` do not tell names apart."""
    assert "acme_eu_1" == folded("ACME-eu.1")
    assert folded("straße") == folded("STRASSE")


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("timeuot", ["timeout", "pool"], "did you mean 'timeout'?"),
        ("API_KEY", ["api_key"], "did you mean 'api_key'?"),
        ("apiKey", ["api_key", "project"], "did you mean 'api_key'?"),
        ("azure-eu", ["Azure_EU"], "did you mean 'Azure_EU'?"),
        ("zzz", ["timeout"], ""),
        ("timeout", [], ""),
    ],
)
def test_nearest(word: str, known: list[str], hint: str) -> None:
    """A word that is nearly known is suggested as it is spelled."""
    assert hint == nearest(word, known)


def test_likeness() -> None:
    """How near a word has to be is the caller's to say."""
    assert "did you mean 'version'?" == nearest("verison", ["version"])
    assert "" == nearest("verison", ["version"], likeness=0.9)


def test_refresh_policy() -> None:
    """Refresh settings become the policy of a credential."""
    said = {"every": "1m", "max_stale": 2, "overlap": 3, "wait": "4s"}

    assert RefreshPolicy(60.0, 2.0, 3.0, 4.0) == RefreshSettings.model_validate(said).policy()
    assert RefreshPolicy() == RefreshSettings().policy()
