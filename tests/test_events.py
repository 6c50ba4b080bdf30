from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import pytest

from tenantry import events
from tenantry.events import ClientBuilt, Event, EventStream, RefreshFailed

if TYPE_CHECKING:
    from collections.abc import Iterator

LIMIT = 10.0  # seconds after which a test that hangs fails


@pytest.fixture
def stream() -> Iterator[EventStream]:
    made = EventStream()
    yield made
    made.close()


class Listener:
    """A hook that keeps what it gets, and lets a test wait for it."""

    def __init__(self, *, held: bool = False) -> None:
        self.seen: list[str] = []
        self.threads: list[threading.Thread] = []
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self._each = threading.Semaphore(0)
        if not held:
            self.go_on.set()

    def __call__(self, event: Event) -> None:
        self.begun.set()
        assert self.go_on.wait(LIMIT)
        self.threads.append(threading.current_thread())
        self.seen.append(event.tenant)
        self._each.release()

    def wait_for(self, count: int) -> None:
        for _ in range(count):
            assert self._each.acquire(timeout=LIMIT)


def publish(stream: EventStream, *names: str) -> None:
    for name in names:
        stream.publish(Event(name))


def test_events_are_frozen_facts() -> None:
    """An event cannot be changed by a hook, and says all that it knows."""
    event = ClientBuilt("acme", endpoint="", kind="OpenAI")
    with pytest.raises(AttributeError):
        event.kind = "other"  # type: ignore[misc]  # what is tried here is forbidden
    assert "ClientBuilt(tenant='acme', endpoint='', kind='OpenAI')" == repr(event)
    failed = RefreshFailed(
        "acme", source="vault", reason="sealed", failure="transient", retry_in=1.0, usable=True
    )
    assert failed.usable


def test_hooks_get_every_event_in_order(stream: EventStream) -> None:
    """Two hooks see the same events in the order in which they were published."""
    first, second = Listener(), Listener()
    stream.subscribe(first)
    stream.subscribe(second)
    names = [str(number) for number in range(500)]
    publish(stream, *names)
    first.wait_for(500)
    second.wait_for(500)
    assert (names, names) == (first.seen, second.seen)


def test_hooks_run_on_one_thread_of_their_own(stream: EventStream) -> None:
    """No hook runs on the thread that published."""
    listener = Listener()
    stream.subscribe(listener)
    publish(stream, "a", "b")
    listener.wait_for(2)
    [thread] = set(listener.threads)
    assert ("tenantry-events", True) == (thread.name, thread.daemon)


def test_without_hooks_nothing_is_queued(stream: EventStream) -> None:
    """An event that nobody wants costs no thread, and is not kept for later hooks."""
    publish(stream, "early")
    assert stream._thread is None
    listener = Listener()
    stream.subscribe(listener)
    publish(stream, "late")
    listener.wait_for(1)
    assert ["late"] == listener.seen


def test_a_subscription_can_be_ended(stream: EventStream) -> None:
    """A hook that unsubscribed gets nothing more; ending twice is harmless."""
    left, stays = Listener(), Listener()
    unsubscribe = stream.subscribe(left)
    stream.subscribe(stays)
    publish(stream, "a")
    left.wait_for(1)
    unsubscribe()
    unsubscribe()
    publish(stream, "b")
    stays.wait_for(2)
    assert (["a"], ["a", "b"]) == (left.seen, stays.seen)


@pytest.mark.parametrize("error", [ValueError("broken"), SystemExit("broken")])
def test_a_broken_hook_is_logged_once(
    stream: EventStream, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """A hook that always fails is logged the first time, and harms no other hook."""

    def broken(_: Event) -> None:
        raise error

    listener = Listener()
    stream.subscribe(broken)
    stream.subscribe(listener)
    with caplog.at_level(logging.DEBUG, logger="tenantry"):
        publish(stream, "a", "b", "c")
        listener.wait_for(3)
    assert 1 == sum("a hook failed on Event" in each.getMessage() for each in caplog.records)
    assert ["a", "b", "c"] == listener.seen


def test_a_hook_need_not_be_hashable(stream: EventStream, caplog: pytest.LogCaptureFixture) -> None:
    """Any callable is a hook, also one that fails and cannot be put into a set."""

    class Unhashable:
        __hash__ = None  # type: ignore[assignment]  # the point of this test

        def __call__(self, _: Event) -> None:
            raise ValueError("broken")

    listener = Listener()
    stream.subscribe(Unhashable())
    stream.subscribe(listener)
    publish(stream, "a", "b")
    listener.wait_for(2)
    assert 1 == len(caplog.records)


def test_what_slow_hooks_leave_behind_is_counted(
    stream: EventStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The queue is bounded: what does not fit is dropped and counted, the rest arrives."""
    monkeypatch.setattr(events, "QUEUE_LIMIT", 3)
    slow = Listener(held=True)
    stream.subscribe(slow)
    publish(stream, "a")
    assert slow.begun.wait(LIMIT)
    publish(stream, "b", "c", "d", "e", "f")
    slow.go_on.set()
    slow.wait_for(4)
    assert (["a", "b", "c", "d"], 2) == (slow.seen, stream.lost)


def test_closing_delivers_what_is_queued() -> None:
    """After `close` every event published before it has arrived, and the thread is gone."""
    stream, listener = EventStream(), Listener(held=True)
    stream.subscribe(listener)
    publish(stream, "a", "b", "c")
    assert listener.begun.wait(LIMIT)
    thread = stream._thread
    assert thread is not None
    threading.Timer(0.01, listener.go_on.set).start()
    stream.close(LIMIT)
    assert ["a", "b", "c"] == listener.seen
    assert not thread.is_alive()


def test_closing_does_not_wait_for_ever() -> None:
    """A hook that hangs holds up `close` for its time limit and no longer."""
    stream, listener = EventStream(), Listener(held=True)
    stream.subscribe(listener)
    publish(stream, "a")
    assert listener.begun.wait(LIMIT)
    stream.close(0.01)
    assert [] == listener.seen
    listener.go_on.set()
    listener.wait_for(1)


def test_after_closing_events_are_dropped() -> None:
    """What is published after the end fills no queue, and is counted as lost."""
    stream = EventStream()
    stream.subscribe(Listener())
    stream.close()
    stream.close()
    publish(stream, "late")
    assert (1, 0, None) == (stream.lost, len(stream._queue), stream._thread)


def test_a_hook_may_close_its_stream() -> None:
    """Closing from within a hook does not wait for the hook itself."""
    stream, listener = EventStream(), Listener()
    stream.subscribe(lambda _: stream.close())
    stream.subscribe(listener)
    publish(stream, "a")
    listener.wait_for(1)
    assert ["a"] == listener.seen


def test_a_hook_may_publish_and_subscribe(stream: EventStream) -> None:
    """A hook that itself publishes and subscribes does not hang."""
    listener, inner = Listener(), Listener()

    def busy(event: Event) -> None:
        if event.tenant == "a":
            stream.subscribe(inner)
            publish(stream, "b")

    stream.subscribe(busy)
    stream.subscribe(listener)
    publish(stream, "a")
    listener.wait_for(2)
    inner.wait_for(1)
    assert (["a", "b"], ["b"]) == (listener.seen, inner.seen)


def test_an_idle_thread_ends_and_the_next_event_starts_one(
    stream: EventStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream that nobody closes keeps no thread, and loses no event around the idle limit."""
    monkeypatch.setattr(events, "IDLE_LIMIT", 0.0)
    listener = Listener()
    stream.subscribe(listener)
    for number in range(300):
        publish(stream, str(number))
        if number % 3 == 0:
            listener.wait_for(len(listener.seen) == number + 1)
    stream.close(LIMIT)
    assert [str(number) for number in range(300)] == listener.seen


def test_whoever_publishes_goes_on_where_no_thread_can_be_had(
    stream: EventStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is out of threads, or ending, delivers once there is a thread again."""
    listener = Listener()
    stream.subscribe(listener)
    with monkeypatch.context() as broken:

        def start(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        broken.setattr(threading.Thread, "start", start)
        publish(stream, "a")
    publish(stream, "b")
    listener.wait_for(2)
    assert ["a", "b"] == listener.seen


def test_subscribing_from_many_threads_loses_no_hook(stream: EventStream) -> None:
    """Hooks that subscribe and leave at the same time do not undo one another."""
    together, listeners = threading.Barrier(16), [Listener() for _ in range(16)]

    def join(listener: Listener) -> None:
        together.wait(LIMIT)
        for _ in range(100):
            stream.subscribe(listener)()
        stream.subscribe(listener)

    threads = [threading.Thread(target=join, args=(each,)) for each in listeners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    publish(stream, "a")
    for listener in listeners:
        listener.wait_for(1)


# -- where requests begin -------------------------------------------------------------------------


def test_who_wants_to_know_is_told_where_a_request_begins() -> None:
    """There and then, on the caller's own thread, until it is ended."""
    stream, heard = EventStream(), list[tuple[str, int]]()
    end = stream.before_requests(lambda tenant: heard.append((tenant, threading.get_ident())))
    stream.begin_request("acme")
    end()
    stream.begin_request("globex")
    assert [("acme", threading.get_ident())] == heard


def test_a_hook_that_fails_fails_no_request(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged once, and the others are told all the same."""
    stream, heard = EventStream(), list[str]()

    def broken(_: str) -> None:
        raise ValueError

    stream.before_requests(broken)
    stream.before_requests(heard.append)
    for _ in range(3):
        stream.begin_request("acme")
    assert (["acme"] * 3, 1) == (heard, len(caplog.records))
