"""Keys are rotated and revoked under traffic, stores fail, and no request does."""

from __future__ import annotations

import itertools
import math
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tenantry import breaker
from tenantry.freshness import FORCED_BASE
from tenantry.sources import session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.soaks.conftest import Estate, Keyed, Traffic

LIMIT = 60.0  # seconds after which what does not happen fails its test
EVERY = 1.0  # seconds between two refreshes, as the estate says
STEP = 0.15  # seconds between two rotations


def wait_until(true: Callable[[], bool], what: str) -> None:
    """Look again until something is true."""
    end = time.monotonic() + LIMIT
    while not true():
        assert time.monotonic() < end, f"{what} took longer than {LIMIT:g} s"
        time.sleep(0.005)


class Rotation:
    """Rotates one key after the other, every second time with the old one revoked at once.

    No key of a store that is `down` is revoked, and none is until it has been serving for longer
    than any request is under way: then each refused request can find a better one.
    """

    def __init__(self, estate: Estate, traffic: Traffic) -> None:
        self.estate, self.traffic = estate, traffic
        self.down: set[str] = set()
        self.rotated = 0
        self._turns = itertools.cycle(estate.keyed)

    def go_on(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            keyed = self._next()
            if keyed is not None:
                self.estate.rotate(keyed, revoke=bool(keyed.turns % 2) and not self._is_down(keyed))
                self.rotated += 1
            time.sleep(STEP)

    @contextmanager
    def outage(self, store: str) -> Iterator[None]:
        """Publish in a store that is about to be down, and again once it is back."""
        self.down.add(store)
        self._settle(store)
        yield
        for keyed in self._of(store):
            if store == "entra":
                keyed.good.clear()  # only a token that is issued after the outage is good
                keyed.mark = None
            else:
                self.estate.publish(keyed)
        self._settle(store)
        self.down.discard(store)

    def wait_for_all(self) -> None:
        """Wait until every key serves."""
        wait_until(lambda: all(map(self._is_settled, self.estate.keyed)), "the first keys")

    def _settle(self, store: str) -> None:
        of_store = self._of(store)
        wait_until(lambda: all(map(self._is_settled, of_store)), f"settling the keys of {store}")

    def _next(self) -> Keyed | None:
        turn = itertools.islice(self._turns, len(self.estate.keyed))
        return next(filter(self._may_turn, turn), None)

    def _may_turn(self, keyed: Keyed) -> bool:
        is_token = keyed.source == "entra"
        return not (is_token and self._is_down(keyed)) and self._is_settled(keyed)

    def _is_settled(self, keyed: Keyed) -> bool:
        return self.estate.is_settled(keyed, self.traffic)

    def _is_down(self, keyed: Keyed) -> bool:
        return keyed.source in self.down

    def _of(self, store: str) -> list[Keyed]:
        return [keyed for keyed in self.estate.keyed if keyed.source == store]


def rotate_through_outages(estate: Estate, rotation: Rotation, phase: float) -> None:
    """Rotate in quiet, while sessions die, while Vault is sealed, cut off, and Entra is."""
    rotation.wait_for_all()  # who never had a key has none to go on with
    rotation.go_on(phase)
    for _ in range(2):
        estate.vault.revoke_all_sessions()
        rotation.go_on(max(phase, 2 * EVERY))
    with rotation.outage("vault"):
        estate.vault.seal()
        rotation.go_on(phase)
        estate.vault.unseal()
    with rotation.outage("vault"):
        estate.vault.stop()
        rotation.go_on(phase)
        estate.vault.start()
    with rotation.outage("entra"):
        estate.entra.outage(active=True, refuse=True)
        rotation.go_on(phase)
        estate.entra.outage(active=False)
    rotation.go_on(phase)


@pytest.mark.parametrize(
    ("phase", "at_least"),
    [
        pytest.param(0.5, 10, id="short"),
        pytest.param(5.0, 50, id="long", marks=pytest.mark.stress),
    ],
)
@pytest.mark.timeout(300)
def test_no_request_fails_while_keys_rotate_and_stores_fail(
    estate: Estate,
    traffic: Traffic,
    phase: float,
    at_least: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each request is answered once, or twice where a revoked key was refused at first."""
    if phase < breaker.PROBE_EVERY:
        monkeypatch.setattr(breaker, "PROBE_EVERY", 0.25)
    monkeypatch.setattr(session, "BELIEVED", 0.5)
    rotation, began = Rotation(estate, traffic), time.monotonic()
    with traffic:
        rotate_through_outages(estate, rotation, phase)
    elapsed = time.monotonic() - began
    estate.close()
    answers = estate.answers()
    replayed = [each for each in answers.values() if each != [200]]
    print(counted(estate, traffic, rotation, elapsed, len(replayed)))  # noqa: T201  # read with -s
    assert ([], []) == (traffic.failures, traffic.errors)
    assert sum(traffic.sent.values()) == len(answers)
    assert [[401, 200]] * len(replayed) == replayed
    assert len(replayed) == estate.events["RequestReplayed"] == estate.openai.count(status=401)
    assert at_least <= rotation.rotated
    check_what_stores_were_asked(estate, elapsed)


def check_what_stores_were_asked(estate: Estate, elapsed: float) -> None:
    """Every fetch was due, forced by a 401, or repeated with a new session."""
    vault, entra = estate.vault, estate.entra
    documents = sum(keyed.source == "vault" for keyed in estate.keyed)
    due = elapsed / (0.9 * EVERY) + 1
    denied = vault.count("read", status=403)
    assert denied <= 2 * documents
    assert vault.count("read") <= documents * due + estate.revoked + denied
    # At first and after each revocation; a session may run out in either outage of Vault's.
    assert 3 <= vault.count("login", status=200) <= 5
    # A session of 20 s is renewed after 11 to 13 s, a token wants to be after 1 to 2 s.
    assert vault.count("renew", status=200) <= elapsed / 11 + 1
    assert entra.count("token") <= elapsed + 1 + estate.revoked


def counted(
    estate: Estate, traffic: Traffic, rotation: Rotation, elapsed: float, replayed: int
) -> str:
    vault = estate.vault
    return (
        f"\n{elapsed:.1f} s, {sum(traffic.sent.values())} requests, {replayed} replayed,"
        f" {len(traffic.failures) + len(traffic.errors)} failed; {rotation.rotated} rotations,"
        f" {estate.revoked} with revocation; Vault: {vault.count('read')} reads"
        f" ({vault.count('read', status=503)} sealed, {vault.count('read', status=403)} denied),"
        f" {vault.count('login')} logins, {vault.count('renew')} renewals;"
        f" Entra: {estate.entra.count('token')} tokens; events {dict(estate.events)}"
    )


# -- a wrong key ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "seconds",
    [pytest.param(3.0, id="short"), pytest.param(25.0, id="long", marks=pytest.mark.stress)],
)
def test_a_wrong_key_beside_one_that_works_costs_no_request(
    estate: Estate, traffic: Traffic, seconds: float
) -> None:
    """It is sent at once, and 5, 10, 20 s later; whoever sent it is served with the old one."""
    keyed = estate.keyed[-1]
    with traffic:
        wait_until(lambda: estate.is_settled(keyed, traffic), "the first key")
        began = time.monotonic()
        estate.publish(keyed, "sk-wrong")
        wait_until(lambda: estate.openai.count(key="sk-wrong") > 0, "trying the wrong key")
        time.sleep(seconds)
        elapsed = time.monotonic() - began
    estate.close()
    tried = estate.openai.count(key="sk-wrong")
    steps = 1 + math.floor(math.log2(elapsed / FORCED_BASE + 1))
    requests = sum(traffic.sent.values())
    print(f"\n{elapsed:.1f} s, {requests} requests, wrong key {tried} times")  # noqa: T201
    assert ([], []) == (traffic.failures, traffic.errors)
    assert 1 <= tried <= steps + 1
    assert tried == estate.openai.count(status=401) == estate.events["RequestReplayed"]
    assert 1 == estate.events["SecretRejected"]
