from __future__ import annotations

import logging
import os
import queue
import signal
import time
from typing import TYPE_CHECKING

import psycopg
import pytest
from tests.forking import in_child

from tenantry.catalog.engine import Write
from tenantry.catalog.postgres import PostgresEngine
from tenantry.catalog.postgres.listener import TICK, PostgresListener, Pulse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenantry.testing.postgres import PostgresServer

T = 10.0


@pytest.fixture
def engine(postgres_dsn: str) -> Iterator[PostgresEngine]:
    engine = PostgresEngine(lambda: f"{postgres_dsn}&application_name=listening", notify=True)
    engine.prepare(T)
    yield engine
    engine.close()


def alive_within(listener: PostgresListener, *, alive: bool) -> bool:
    limit = time.monotonic() + 20.0
    while listener.alive is not alive and time.monotonic() < limit:
        time.sleep(0.02)
    return listener.alive is alive


def test_a_pulse() -> None:
    """A probe is due at once and every so often, and lost where it is not heard in time."""
    pulse = Pulse(every=30.0, patience=5.0)
    assert (True, False) == (pulse.due(100.0), pulse.lost(100.0))

    pulse.sent(100.0)
    assert (False, False) == (pulse.due(140.0), pulse.lost(105.0))
    assert pulse.lost(105.1)

    pulse.heard()
    assert (False, True, False) == (pulse.due(129.9), pulse.due(130.0), pulse.lost(999.0))


def test_it_calls_at_a_change(engine: PostgresEngine) -> None:
    """Who listens is woken when it begins, and at every change."""
    calls: queue.Queue[None] = queue.Queue()
    listener = engine.listen(lambda: calls.put(None))
    assert listener is not None
    calls.get(timeout=T)

    assert alive_within(listener, alive=True)
    engine.write([Write("acme", {})], "us", T)
    calls.get(timeout=T)
    listener.close()
    engine.write([Write("acme", None)], "us", T)
    assert calls.empty()


def test_a_quiet_line_is_not_a_dead_one(engine: PostgresEngine) -> None:
    """Where nothing changes nothing is heard, and the connection stays."""
    calls: queue.Queue[None] = queue.Queue()
    listener = engine.listen(lambda: calls.put(None))
    assert listener is not None
    assert alive_within(listener, alive=True)
    time.sleep(3 * TICK)

    assert (True, 1) == (listener.alive, calls.qsize())
    listener.close()


def test_nobody_calls_unless_asked_to(postgres_dsn: str) -> None:
    """Without `notify` there is no listener."""
    assert PostgresEngine(lambda: postgres_dsn).listen(lambda: None) is None


def test_a_dead_line_is_noticed(
    engine: PostgresEngine, postgres_server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A line on which nothing arrives is given up, said once, and opened again."""
    calls: queue.Queue[None] = queue.Queue()
    now = [0.0]
    probes: queue.Queue[str] = queue.Queue()

    def call(channel: str, timeout: float) -> None:
        engine._call(channel, timeout)
        probes.put(channel)

    listener = PostgresListener(
        engine._dsn, call, lambda: calls.put(None), every=10.0, clock=lambda: now[0]
    )
    calls.get(timeout=T)
    probes.get(timeout=T)
    assert alive_within(listener, alive=True)

    frozen = listening(postgres_server)
    with caplog.at_level(logging.WARNING, "tenantry"):
        os.kill(frozen, signal.SIGSTOP)  # as if packets were dropped
        try:
            now[0] += 11.0  # a probe is due
            probes.get(timeout=T)
            time.sleep(TICK)
            now[0] += 11.0  # and late
            assert alive_within(listener, alive=False)
        finally:
            os.kill(frozen, signal.SIGCONT)
        calls.get(timeout=T)
        assert alive_within(listener, alive=True)
    listener.close()

    (told,) = [record.message for record in caplog.records]
    assert "a call from another connection does not arrive" in told


def listening(server: PostgresServer) -> int:
    """Return the process that serves the listener."""
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        row = connection.execute(
            "SELECT pid FROM pg_stat_activity"
            " WHERE application_name = 'listening' AND query LIKE 'LISTEN%'"
        ).fetchone()
    assert row is not None
    return int(row[0])


def test_it_lives_through_a_crash(engine: PostgresEngine, postgres_server: PostgresServer) -> None:
    """After the server crashed and came back, it is woken: changes may have been missed."""
    calls: queue.Queue[None] = queue.Queue()
    listener = engine.listen(lambda: calls.put(None))
    assert listener is not None
    assert alive_within(listener, alive=True)
    postgres_server.crash()
    while not calls.empty():
        calls.get()
    postgres_server.restart()

    calls.get(timeout=T)
    assert alive_within(listener, alive=True)
    listener.close()


def test_it_lives_through_a_fork(engine: PostgresEngine) -> None:
    """A child listens on a thread of its own."""
    calls: queue.Queue[None] = queue.Queue()
    listener = engine.listen(lambda: calls.put(None))
    assert listener is not None
    assert alive_within(listener, alive=True)
    assert in_child(lambda: alive_within(listener, alive=True))
    assert listener.alive
    listener.close()
