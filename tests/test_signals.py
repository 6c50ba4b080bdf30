"""A signal leaves a note, and a thread acts on it."""

from __future__ import annotations

import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest
from tests.forking import in_child

from tenantry import ClientRegistry
from tenantry.signals import OnSignal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIMIT = 10.0


@pytest.fixture(autouse=True)
def _handler_of_before() -> Iterator[None]:
    before = signal.getsignal(signal.SIGHUP)
    yield
    assert before == signal.getsignal(signal.SIGHUP)


def test_each_signal_is_one_job() -> None:
    """The job runs on another thread, as often as the signal came."""
    ran = threading.Semaphore(0)
    names: list[str] = []

    def job() -> None:
        names.append(threading.current_thread().name)
        ran.release()

    listener = OnSignal(signal.SIGHUP, job)
    for _ in range(3):
        signal.raise_signal(signal.SIGHUP)
        assert ran.acquire(timeout=LIMIT)
    listener.stop()
    listener.stop()
    assert ["tenantry-signals"] * 3 == names


def test_whoever_handled_it_before_hears_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The application's own handler is called, too."""
    heard: list[int] = []
    before = signal.signal(signal.SIGHUP, lambda signum, _: heard.append(signum))
    listener = OnSignal(signal.SIGHUP, lambda: None)
    signal.raise_signal(signal.SIGHUP)
    listener.stop()
    signal.raise_signal(signal.SIGHUP)
    signal.signal(signal.SIGHUP, before)
    assert [signal.SIGHUP] * 2 == heard


def test_the_thread_ends_with_it() -> None:
    """Nothing listens after `stop`."""
    before = set(threading.enumerate())
    listener = OnSignal(signal.SIGHUP, lambda: None)
    [thread] = set(threading.enumerate()) - before
    listener.stop()
    thread.join(LIMIT)
    assert not thread.is_alive()


def test_a_registry_reloads_on_a_signal(tmp_path: Path) -> None:
    """`reload_on` takes what the files say now; what cannot be used changes nothing."""
    file = tmp_path / "tenants.yaml"
    file.write_text("tenants: {acme: {api_key: {env: KEY}}}")
    with ClientRegistry.open(file, environ={"KEY": "sk-1"}) as registry:
        registry.reload_on(signal.SIGHUP)
        for said in ("tenants: [", "tenants: {acme: , globex: , x: }", "defaults: {}"):
            file.write_text(said)
            signal.raise_signal(signal.SIGHUP)
        file.write_text("defaults: {api_key: {env: KEY}}\ntenants: {acme: , globex: }")
        signal.raise_signal(signal.SIGHUP)
        deadline = time.monotonic() + LIMIT
        while len(registry.tenants) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert ["acme", "globex"] == list(registry.tenants)


def test_children_listen_too() -> None:
    """A forked child has a thread of its own for its own signals."""
    ran = threading.Event()
    listener = OnSignal(signal.SIGHUP, ran.set)

    def work() -> bool:
        signal.raise_signal(signal.SIGHUP)
        return ran.wait(LIMIT)

    assert in_child(work)
    assert not ran.is_set()
    listener.stop()
