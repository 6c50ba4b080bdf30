"""Words that settings are made of: durations, addresses, and the model that refuses surprises."""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal, LiteralString, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict
from pydantic_core import PydanticCustomError

from tenantry.freshness import RefreshPolicy

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")


def folded(name: str) -> str:
    """Return what two names must not share: case and `-_.` do not tell tenants apart."""
    return re.sub(r"[-_.]", "_", name).casefold()


def invalid(message: LiteralString, **facts: object) -> PydanticCustomError:
    """Return an error for a validator to raise; `message` may name facts in braces."""
    return PydanticCustomError("tenantry", message, facts or None)


def seconds(value: object) -> float:
    """Read a duration: a number of seconds, or text such as `250ms`, `5s`, `10m`, `1h`, `7d`."""
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        value = float(match[1]) * _UNITS[match[2]]
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf:
        return float(value)
    message = "is not a duration: write seconds as a number, or 250ms, 5s, 10m, 1h, 7d"
    raise invalid(message)


def _http_url(value: str) -> str:
    if not _has_host(value, "http", "https"):
        message = "is not an http(s) URL"
        raise invalid(message)
    return value


def _websocket_url(value: str) -> str:
    if not _has_host(value, "ws", "wss"):
        message = "is not a ws(s) URL"
        raise invalid(message)
    return value


def _has_host(value: str, *schemes: str) -> bool:
    try:
        parts = urlsplit(value)
        known = parts.scheme in schemes and parts.hostname is not None and parts.port != 0
    except ValueError:  # its words quote the value
        return False
    if "@" in parts.netloc:
        message = "holds user information, which would be sent instead of the key: leave it out"
        raise invalid(message)
    return known


Seconds: TypeAlias = Annotated[float, BeforeValidator(seconds)]
HttpUrl: TypeAlias = Annotated[str, AfterValidator(_http_url)]
WebsocketUrl: TypeAlias = Annotated[str, AfterValidator(_websocket_url)]


class Model(BaseModel):
    """A part of the configuration: immutable, strict about keys, silent about values."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class RefreshSettings(Model):
    """How often secrets are fetched again. Durations in seconds, or with a unit."""

    every: Seconds = 300.0
    max_stale: Seconds = 86_400.0
    overlap: Seconds = 3_600.0
    wait: Seconds = 5.0
    on_removed: Literal["keep", "drop"] = "keep"

    def policy(self) -> RefreshPolicy:
        return RefreshPolicy(
            self.every,
            self.max_stale,
            self.overlap,
            self.wait,
            drop_removed=self.on_removed == "drop",
        )
