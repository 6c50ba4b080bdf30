"""Words that settings are made of: durations, addresses, and the model that refuses surprises."""

from __future__ import annotations

import difflib
import functools
import re
from typing import TYPE_CHECKING, Annotated, Literal, LiteralString, TypeAlias
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from tenantry.freshness import RefreshPolicy

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 1e12  # seconds; what is longer is a slip, and a whole number may not fit into a float
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
# RFC 3986, section 2, and braces: `{tenant}` is filled in later, or was.
_SPELLED = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%{}-]+")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")


def folded(name: str) -> str:
    """Return what two names must not share: case and `-_.` do not tell tenants apart."""
    return re.sub(r"[-_.]", "_", name).casefold()


def nearest(word: str, known: Iterable[str], *, likeness: float = 0.6) -> str:
    """Return "did you mean ...?" where one of `known` is near to `word`, else nothing."""
    spelled = {folded(each): each for each in known}
    found = difflib.get_close_matches(folded(word), spelled, 1, likeness)
    return f"did you mean {spelled[found[0]]!r}?" if found else ""


def invalid(message: LiteralString, **facts: object) -> PydanticCustomError:
    """Return an error for a validator to raise; `message` may name facts in braces.

    Two facts say what to do: `hint` in words; `meant`, a pair of the word that was said and those
    that are known, of which the nearest is suggested.
    """
    return PydanticCustomError("tenantry", message, facts or None)


def seconds(value: object) -> float:
    """Read a duration: a number of seconds, or text such as `250ms`, `5s`, `10m`, `1h`, `7d`."""
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        value = float(match[1]) * _UNITS[match[2]]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= LONGEST:
        return float(value)
    message = "is not a duration: write seconds as a number, or 250ms, 5s, 10m, 1h, 7d"
    raise invalid(message)


def http_url(value: object) -> object:
    """Refuse what is not an http(s) URL with a host, or holds user information."""
    if not _has_host(value, "http", "https"):
        message = "is not an http(s) URL"
        raise invalid(message, hint="write https://HOST, https://HOST:PORT or https://HOST/PATH")
    return value


def _websocket_url(value: object) -> object:
    if not _has_host(value, "ws", "wss"):
        message = "is not a ws(s) URL"
        raise invalid(message, hint="write wss://HOST, wss://HOST:PORT or wss://HOST/PATH")
    return value


def _has_host(value: object, *schemes: str) -> bool:
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
        known = parts.scheme in schemes and parts.port != 0 and _is_name(parts.hostname)
    except ValueError:  # its words quote the value
        return False
    if "@" in parts.netloc:
        message = (
            "holds a user name or password (not shown), which would be sent instead of the key:"
            " leave it out"
        )
        raise invalid(message)
    if known and not _SPELLED.fullmatch(value):
        message = "has a character that stands in no URL as it is sent"
        raise invalid(message, hint="write the host as xn--..., and other characters as %XX")
    return known


def _is_name(host: str | None) -> bool:
    """Whether the http libraries take a host: `xn--` has to say letters, and no label is empty."""
    if host is None or "%" in host:
        return False
    labels = host.removesuffix(".").split(".")
    if not host.startswith("xn--") and ".xn--" not in host:
        return all(labels) or ":" in host
    import idna

    try:
        return bool(idna.decode(host))
    except idna.IDNAError:
        return False


# What a value looks like in a JSON Schema, where its model cannot tell; `schema.py` fills it in.
Seconds: TypeAlias = Annotated[
    float, BeforeValidator(seconds), WithJsonSchema({"shape": "duration"})
]
HttpUrl: TypeAlias = Annotated[
    str, BeforeValidator(http_url), WithJsonSchema({"shape": "http_url"})
]
WebsocketUrl: TypeAlias = Annotated[
    str, BeforeValidator(_websocket_url), WithJsonSchema({"shape": "websocket_url"})
]


class Model(BaseModel):
    """A part of the configuration: immutable, strict about keys, silent about values."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class RefreshSettings(Model):
    """How often secrets are fetched again. Durations in seconds, or with a unit."""

    every: Seconds = Field(
        default=300.0,
        description="How old a secret that does not say when it expires may grow before it is"
        " fetched again; 5 minutes unless said otherwise.",
    )
    max_stale: Seconds = Field(
        default=86_400.0,
        description="How much longer a secret is served where it cannot be fetched again; a day"
        " unless said otherwise.",
    )
    overlap: Seconds = Field(
        default=3_600.0,
        description="How long the previous value is kept, for a request that the new one is"
        " refused for; an hour unless said otherwise.",
    )
    wait: Seconds = Field(
        default=5.0,
        description="How long a caller waits where no usable value is held; 5 seconds unless said"
        " otherwise.",
    )
    on_removed: Literal["keep", "drop"] = Field(
        default="keep",
        description="Whether a secret that was removed at its source serves on until max_stale"
        " (keep, the default) or no longer (drop).",
    )

    def policy(self) -> RefreshPolicy:
        return _policy(
            self.every,
            self.max_stale,
            self.overlap,
            self.wait,
            drop_removed=self.on_removed == "drop",
        )


# Thousands of documents have equal limits, and share them.
_policy = functools.lru_cache(maxsize=256)(RefreshPolicy)
