from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tenantry.pool import Pool

LIMIT = 10.0  # seconds after which a test that hangs fails


def test_threads_that_ask_first_build_once() -> None:
    """Sixteen threads that want the same key get one value, built once."""
    pool, together = Pool[str, object](), threading.Barrier(16)
    built: list[object] = []

    def build() -> object:
        built.append(object())
        return built[-1]

    def ask(_: int) -> object:
        together.wait(LIMIT)
        return pool.get("acme", build)

    with ThreadPoolExecutor(16) as threads:
        found = set(threads.map(ask, range(16)))
    assert set(built) == found
    assert 1 == len(built)


def test_a_slow_key_holds_up_no_other() -> None:
    """While one key is being built, another is built and read."""
    pool, begun, go_on = Pool[str, str](), threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        assert go_on.wait(LIMIT)
        return "slow"

    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(pool.get, "acme", slow)
        assert begun.wait(LIMIT)
        assert "quick" == pool.get("globex", lambda: "quick")
        assert pool.evict("acme") is None
        go_on.set()
        assert "slow" == waiting.result(LIMIT)


def test_a_failed_build_is_tried_again() -> None:
    """A build that fails leaves nothing behind, and its error reaches who asked."""
    pool = Pool[str, int]()

    def broken() -> int:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken") as caught:
        pool.get("acme", broken)
    assert caught.value.__context__ is None
    assert 0 == len(pool)
    assert 7 == pool.get("acme", lambda: 7)


def test_whoever_waited_for_a_failed_build_builds() -> None:
    """The failure of one caller is not that of those who waited behind it."""
    pool, begun, go_on = Pool[str, int](), threading.Event(), threading.Event()

    def broken() -> int:
        begun.set()
        assert go_on.wait(LIMIT)
        raise ValueError("broken")

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(pool.get, "acme", broken)
        assert begun.wait(LIMIT)
        second = threads.submit(pool.get, "acme", lambda: 7)
        go_on.set()
        assert isinstance(first.exception(LIMIT), ValueError)
        assert 7 == second.result(LIMIT)


def test_the_first_of_two_side_by_side_builds_counts() -> None:
    """Where two built the same key, both get the value that was there first."""
    pool = Pool[str, str]()
    assert "inner" == pool._build("acme", lambda: pool._build("acme", lambda: "inner") + "!")


def test_who_waited_gets_what_was_built() -> None:
    """A caller that finds the value once its turn comes does not build."""
    pool, begun, go_on = Pool[str, str](), threading.Event(), threading.Event()

    def first() -> str:
        begun.set()
        assert go_on.wait(LIMIT)
        return "first"

    with ThreadPoolExecutor(2) as threads:
        builder = threads.submit(pool.get, "acme", first)
        assert begun.wait(LIMIT)
        turn = pool._building["acme"]
        waiter = threads.submit(pool.get, "acme", lambda: "second")
        go_on.set()
        assert ("first", "first") == (builder.result(LIMIT), waiter.result(LIMIT))
    assert not turn.locked()


def test_an_evicted_value_lives_on_with_who_holds_it() -> None:
    """Evicting forgets: the next caller builds anew, and gets another value."""
    pool = Pool[str, object]()
    first = pool.get("acme", object)
    assert first is pool.evict("acme")
    assert pool.evict("acme") is None
    assert first is not pool.get("acme", object)


def test_a_pool_tells_what_it_holds() -> None:
    """Keys can be iterated while values are evicted; clearing returns the values."""
    pool = Pool[str, int]()
    pool.get("acme", lambda: 1)
    pool.get("globex", lambda: 2)
    for key in pool:
        if key == "acme":
            pool.evict(key)
    assert (["globex"], 1) == (list(pool), len(pool))
    assert ([2], 0) == (pool.clear(), len(pool))


@pytest.mark.parametrize("turns", [200])
def test_eviction_beside_reading_never_fails(turns: int) -> None:
    """Readers get a value whatever is evicted under them."""
    pool, together = Pool[str, str](), threading.Barrier(5)

    def read() -> set[str]:
        together.wait(LIMIT)
        return {pool.get("acme", lambda: "value") for _ in range(turns)}

    def evict() -> None:
        together.wait(LIMIT)
        for _ in range(turns):
            pool.evict("acme")

    with ThreadPoolExecutor(5) as threads:
        evicting = threads.submit(evict)
        readers = [threads.submit(read) for _ in range(4)]
        assert [{"value"}] * 4 == [each.result(LIMIT) for each in readers]
        evicting.result(LIMIT)


def test_only_the_value_that_is_meant_is_evicted() -> None:
    """Who evicts what it holds does not evict its successor."""
    pool: Pool[str, object] = Pool()
    first = pool.get("acme", object)
    assert first is pool.evict("acme", first)
    second = pool.get("acme", object)
    assert pool.evict("acme", first) is None
    assert second is pool.get("acme", object)


def test_pairs_are_those_of_one_instant() -> None:
    """Reading them while other threads build and evict never fails."""
    pool: Pool[int, object] = Pool()
    over = threading.Event()

    def churn(start: int) -> None:
        number = start
        while not over.is_set():
            pool.get(number, object)
            pool.evict(number - 500)
            number += 1

    with ThreadPoolExecutor(3) as threads:
        churning = [threads.submit(churn, start) for start in (0, 10**6, 2 * 10**6)]
        for _ in range(300):
            pairs = pool.items()
            assert len(pairs) == len(dict(pairs))
        over.set()
        for done in churning:
            done.result()
