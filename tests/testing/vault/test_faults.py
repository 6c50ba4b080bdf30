from __future__ import annotations

from tenantry.testing.vault import faults
from tenantry.testing.vault.faults import Faults


def test_faults_queue_up() -> None:
    """Each fault is used up in turn, by the requests that it is meant for."""
    queue = Faults()
    queue.add(faults.failure(503, None), times=2, path="auth/")
    queue.add(faults.failure(429, 1.5), times=1, path=None)

    taken = [queue.take(path) for path in ("auth/a", "secret/a", "auth/b", "auth/c")]

    assert [503, 429, 503, None] == [None if each is None else each.status for each in taken]


def test_a_failure_tells_when_to_come_back() -> None:
    """Retry-After is a header in seconds, where it is given."""
    assert {"Retry-After": "1.5"} == faults.failure(429, 1.5).headers
    assert {} == faults.failure(503, None).headers


def test_a_pause_is_for_some_requests_or_for_all() -> None:
    """Pauses end after so many requests, or when they are set to 0."""
    queue = Faults()
    assert 0.0 == queue.pause("a")
    queue.slow(2.0, times=1, path="auth/")
    assert [0.0, 2.0, 0.0] == [queue.pause(path) for path in ("secret/a", "auth/a", "auth/a")]
    queue.slow(1.0, times=None, path=None)
    assert [1.0, 1.0] == [queue.pause("a"), queue.pause("b")]
    queue.slow(0, times=None, path=None)
    assert 0.0 == queue.pause("a")
