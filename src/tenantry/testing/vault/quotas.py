"""Rate-limit quotas: so many requests per interval below a path, then 429."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tenantry.testing.vault.envelope import RefusedError


@dataclass(slots=True)
class RateLimit:
    """One quota: `rate` requests per `interval` seconds for paths that start with `path`."""

    path: str
    rate: int
    interval: float
    _since: float = field(default=float("-inf"), repr=False)
    _taken: int = field(default=0, repr=False)

    def take(self, now: float) -> tuple[bool, dict[str, str]]:
        """Count one request; whether it may pass, and the headers that tell about it."""
        if now >= self._since + self.interval:
            self._since, self._taken = now, 0
        allowed = self._taken < self.rate
        self._taken += allowed
        # The interval's first request is told less than the interval, for a moment has passed.
        reset = str(math.ceil(self._since + self.interval - now) - 1)
        headers = {
            "X-Ratelimit-Limit": str(self.rate),
            "X-Ratelimit-Remaining": str(self.rate - self._taken),
            "X-Ratelimit-Reset": reset,
        }
        return allowed, headers if allowed else {**headers, "Retry-After": reset}


class Quotas:
    """All quotas by name, and whether replies tell about them in headers."""

    def __init__(self) -> None:
        self.limits: dict[str, RateLimit] = {}
        self.with_headers = False

    def admit(self, path: str, now: float) -> dict[str, str]:
        """Count a request under the quota nearest to it; refuse it with 429 or return headers."""
        matching = [limit for limit in self.limits.values() if path.startswith(limit.path)]
        if not matching:
            return {}
        allowed, told = max(matching, key=lambda limit: len(limit.path)).take(now)
        headers = told if self.with_headers else {}
        if not allowed:
            text = f'request path "{path}": rate limit quota exceeded'
            raise RefusedError(429, text, headers=headers)
        return headers
