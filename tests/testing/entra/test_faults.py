import threading

import pytest

from tenantry.testing.entra.faults import Failure, Fault, Faults

BUSY = Failure(503, retry_after=2)
BROKEN = Failure(500)


@pytest.fixture
def faults() -> Faults:
    return Faults(threading.RLock())


def test_nothing_is_wrong_by_default(faults: Faults) -> None:
    """Without a plan no request is delayed or fails."""
    assert Fault(0.0, None) == faults.next("token")


def test_failures_are_used_up_in_order(faults: Faults) -> None:
    """Each plan fails its number of requests, the earlier plan first."""
    faults.fail_next(BUSY, times=2, kind=None)
    faults.fail_next(BROKEN, times=1, kind=None)
    assert [BUSY, BUSY, BROKEN, None] == [faults.next("token").failure for _ in range(4)]


def test_failure_of_one_kind_spares_the_others(faults: Faults) -> None:
    """A plan for one kind neither fails nor counts requests of another."""
    faults.fail_next(BUSY, times=1, kind="token")
    assert [None, BUSY] == [faults.next("discovery").failure, faults.next("token").failure]


def test_slowness_lasts_until_it_is_ended(faults: Faults) -> None:
    """Every request is slow until slowness is set to zero."""
    faults.slow(5, times=None, kind=None)
    assert [5, 5] == [faults.next("token").delay for _ in range(2)]
    faults.slow(0, times=None, kind=None)
    assert 0 == faults.next("token").delay


def test_slowness_may_be_for_some_requests(faults: Faults) -> None:
    """Slowness with a number and a kind ends with the last such request."""
    faults.slow(5, times=1, kind="token")
    delays = [faults.next(kind).delay for kind in ("discovery", "token", "token")]
    assert [0, 5, 0] == delays


def test_outage_fails_all_and_uses_up_nothing(faults: Faults) -> None:
    """In an outage every request gets a 503, and planned failures wait for its end."""
    faults.fail_next(BUSY, times=1, kind=None)
    faults.outage = True
    assert [Failure(503)] * 2 == [faults.next("token").failure for _ in range(2)]
    faults.outage = False
    assert BUSY == faults.next("token").failure
