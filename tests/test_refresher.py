from __future__ import annotations

import gc
import logging
import threading
import time
import weakref
from typing import TYPE_CHECKING

import pytest

from tenantry.refresher import Refresher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMIT = 10.0  # seconds after which a test that hangs fails


@pytest.fixture
def refresher() -> Iterator[Refresher]:
    made = Refresher()
    yield made
    made.close()


class Held:
    """A job that runs until it is released."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Event()
        self.done = threading.Semaphore(0)
        self.threads: list[threading.Thread] = []

    def __call__(self) -> None:
        self.threads.append(threading.current_thread())
        self.begun.release()
        assert self.go_on.wait(LIMIT)
        self.done.release()


def wait_for(semaphore: threading.Semaphore, times: int = 1) -> None:
    for _ in range(times):
        assert semaphore.acquire(timeout=LIMIT)


def refuse_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)


def test_a_lane_that_hangs_does_not_hold_up_another(refresher: Refresher) -> None:
    """With every thread of one lane stuck, another lane works."""
    stuck, done = Held(), threading.Event()
    for _ in range(20):
        refresher.submit("vault", stuck)
    wait_for(stuck.begun, 8)
    refresher.submit("entra", done.set)
    assert done.wait(LIMIT)
    stuck.go_on.set()
    wait_for(stuck.done, 20)


def test_a_lane_has_eight_threads_at_most(refresher: Refresher) -> None:
    """Twenty jobs run on eight daemon threads that bear the lane's name."""
    jobs = Held()
    for _ in range(20):
        refresher.submit("vault", jobs)
    wait_for(jobs.begun, 8)
    assert not jobs.begun.acquire(blocking=False)
    jobs.go_on.set()
    wait_for(jobs.done, 20)
    assert 8 == len(set(jobs.threads))
    assert all(thread.daemon for thread in jobs.threads)
    assert {"tenantry-vault"} == {thread.name for thread in jobs.threads}


def test_a_thread_is_used_again(refresher: Refresher) -> None:
    """A job that comes when a thread is idle gets that thread."""
    names: list[int] = []
    for _ in range(3):
        done = threading.Event()
        refresher.submit("vault", lambda: names.append(threading.get_ident()))
        refresher.submit("vault", done.set)
        assert done.wait(LIMIT)
    assert 1 <= len(set(names)) <= 2


def test_idle_threads_end_and_new_ones_come() -> None:
    """A thread without work ends after the idle limit; the next job gets a new one."""
    refresher = Refresher(idle_limit=0.01)
    for _ in range(3):
        job = Held()
        job.go_on.set()
        refresher.submit("vault", job)
        wait_for(job.done)
        job.threads[0].join(LIMIT)
        assert not job.threads[0].is_alive()


def test_no_job_is_lost_when_threads_go_idle() -> None:
    """Jobs that come while threads are ending all run."""
    refresher, count = Refresher(threads_per_lane=2, idle_limit=0.0), threading.Semaphore(0)
    for _ in range(2000):
        refresher.submit("vault", count.release)
    wait_for(count, 2000)


def test_jobs_run_one_by_one_on_a_single_thread() -> None:
    """With one thread per lane, jobs keep their order."""
    refresher, order, done = Refresher(threads_per_lane=1), list[int](), threading.Event()
    for number in range(50):
        refresher.submit("vault", lambda number=number: order.append(number))  # type: ignore[misc]  # mypy cannot infer a lambda's default
    refresher.submit("vault", done.set)
    assert done.wait(LIMIT)
    assert list(range(50)) == order


@pytest.mark.parametrize("error", [ValueError("sk-planted"), SystemExit("sk-planted")])
def test_a_job_that_fails_costs_no_thread(
    refresher: Refresher, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever a job raises, its thread goes on; the log names the type and not the text."""

    def broken() -> None:
        raise error

    done = threading.Semaphore(0)
    with caplog.at_level(logging.DEBUG):
        for _ in range(20):
            refresher.submit("vault", broken)
            refresher.submit("vault", done.release)
        wait_for(done, 20)
    assert f"a job of vault failed: {type(error).__name__}" in caplog.text
    assert "sk-planted" not in caplog.text


def test_closing_drops_what_waits_and_ends_what_is_idle() -> None:
    """A closed refresher runs no queued job, and its threads end after what they do."""
    refresher, job, late = Refresher(threads_per_lane=1, idle_limit=LIMIT), Held(), Held()
    refresher.submit("vault", job)
    wait_for(job.begun)
    refresher.submit("vault", late)
    refresher.close()
    job.go_on.set()
    job.threads[0].join(LIMIT)
    assert not job.threads[0].is_alive()
    assert [] == late.threads
    refresher.close()


def test_where_no_thread_can_be_had_the_caller_is_told(
    refresher: Refresher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that got no thread is taken back, and the lane works once there are threads again."""
    ran: list[int] = []
    with monkeypatch.context() as broken:
        refuse_to_start(broken)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            refresher.submit("vault", lambda: ran.append(1))
    done = threading.Event()
    refresher.submit("vault", done.set)
    assert done.wait(LIMIT)
    assert [] == ran


def test_where_no_more_threads_can_be_had_the_others_do_the_work(
    refresher: Refresher, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lane with a busy thread keeps the job for it."""
    busy, done = Held(), threading.Event()
    refresher.submit("vault", busy)
    wait_for(busy.begun)
    with monkeypatch.context() as broken:
        refuse_to_start(broken)
        refresher.submit("vault", done.set)
    busy.go_on.set()
    assert done.wait(LIMIT)


def test_lanes_may_be_fed_from_many_threads(refresher: Refresher) -> None:
    """Jobs from sixteen threads for four lanes all run."""
    count, together = threading.Semaphore(0), threading.Barrier(16)

    def feed(lane: str) -> Callable[[], None]:
        def run() -> None:
            together.wait(LIMIT)
            for _ in range(50):
                refresher.submit(lane, count.release)

        return run

    feeders = [threading.Thread(target=feed(f"lane-{number % 4}")) for number in range(16)]
    for feeder in feeders:
        feeder.start()
    wait_for(count, 16 * 50)
    for feeder in feeders:
        feeder.join(LIMIT)


def test_an_idle_thread_keeps_nothing_alive() -> None:
    """What a job used can go, although the thread that ran it waits for the next."""

    class Thing:
        """Something that a job uses."""

        def __init__(self) -> None:
            self.used = threading.Event()

    refresher = Refresher(idle_limit=10 * LIMIT)
    thing = Thing()
    used, reference = thing.used, weakref.ref(thing)
    refresher.submit("vault", lambda thing=thing: thing.used.set())  # type: ignore[misc]
    del thing
    assert used.wait(LIMIT)
    deadline = time.monotonic() + LIMIT
    while reference() is not None and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.001)
    refresher.close()
    assert None is reference()
