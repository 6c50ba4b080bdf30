from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hvac
import pytest

from tenantry.testing.vault import RefusedError
from tenantry.testing.vault.quotas import Quotas, RateLimit

if TYPE_CHECKING:
    from tenantry.testing.vault import ManualClock, VaultServer


def test_a_quota_fills_up_again(vault: VaultServer, clock: ManualClock, root: Any) -> None:
    """Beyond the rate is 429 until the interval is over, and None lifts the quota."""
    vault.put("t/acme", {"k": 1})
    vault.quota("secret/", 1, interval=5)

    def read() -> None:
        root.read("secret/data/t/acme")

    read()
    with pytest.raises(hvac.exceptions.RateLimitExceeded, match="rate limit quota exceeded"):
        read()
    clock.advance(5)
    read()
    vault.quota("secret/", None)
    read()


def test_the_nearest_quota_counts() -> None:
    """A quota below another replaces it for its own paths."""
    quotas = Quotas()
    quotas.limits = {"all": RateLimit("", 1, 1), "kv": RateLimit("secret/", 2, 1)}
    for path in ("secret/data/a", "secret/data/b", "auth/token/lookup-self"):
        assert {} == quotas.admit(path, 0.0)

    for path in ("secret/data/a", "sys/mounts"):
        with pytest.raises(RefusedError) as refused:
            quotas.admit(path, 0.5)
        assert (429, {}) == (refused.value.status, refused.value.headers)
