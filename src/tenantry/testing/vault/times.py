"""Durations and timestamps in Vault's notation: `90`, `"90s"`, `"1h30m"`, RFC 3339."""

from __future__ import annotations

import datetime as dt
import math
import re

from tenantry.testing.vault.envelope import RefusedError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PART = re.compile(r"(\d+)([smhd])")
_NANO = 1_000_000_000


def seconds(value: object, default: int = 0) -> int:
    """Parse a duration; absent and empty values are the default, nonsense is refused with 400."""
    if value is None or value == "":
        return default
    if isinstance(value, int | float):
        return int(value)
    text = str(value)
    if text.isdigit():
        return int(text)
    parts = _PART.findall(text)
    if "".join(number + unit for number, unit in parts) != text:
        raise RefusedError(400, f'time: invalid duration "{text}"')
    return sum(int(number) * _UNITS[unit] for number, unit in parts)


def notation(duration: int) -> str:
    """Word whole seconds as Vault does in its warnings: `1h`, `1h30m`, `6s`."""
    hours, rest = divmod(duration, 3600)
    minutes, left = divmod(rest, 60)
    parts = [(hours, "h"), (minutes, "m"), (left, "s")]
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


def timestamp(moment: float) -> str:
    """Word an epoch in seconds as RFC 3339 with nanoseconds, in UTC."""
    whole, fraction = divmod(round(moment * _NANO), _NANO)
    day = dt.datetime.fromtimestamp(whole, dt.UTC)
    return f"{day:%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"


def timestamp_or_empty(moment: float | None) -> str:
    """Word a moment that may not have come, as KV 2 does."""
    return "" if moment is None else timestamp(moment)


def time_left(expires: float, now: float) -> int:
    """Whole seconds until `expires`; Vault rounds the present to a second before it subtracts."""
    return max(0, int(expires - math.floor(now + 0.5)))


def capped(wanted: int, *, limit: int, issued: float, now: float) -> tuple[int, list[str] | None]:
    """Hold a TTL to what is left of `limit` since `issued`; also Vault's warning, if it did."""
    # Both moments lose their fraction first, as in Vault: a TTL has no finer unit than a second.
    left = math.floor(issued) + limit - math.floor(now)
    if left <= 0:
        raise RefusedError(400, "past the max TTL, cannot renew")
    if wanted <= left:
        return wanted, None
    warning = (
        f'TTL of "{notation(wanted)}" exceeded the effective max_ttl of "{notation(left)}"; '
        "TTL value is capped accordingly"
    )
    return left, [warning]
