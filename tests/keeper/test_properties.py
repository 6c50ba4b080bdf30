"""What is true of a keeper, whatever happens to it and in whatever order."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tenantry.errors import Failure, SourceError
from tenantry.flight import Reason, Unavailable
from tenantry.freshness import DENIED_DELAYS, FORCED_BASE, RefreshPolicy
from tenantry.keeper import FLIGHT_LIMIT, Keeper
from tenantry.secret import Document, Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenantry.flight import Change
    from tenantry.holding import Held, Trial

POLICY = RefreshPolicy(every=100.0, max_stale=500.0, overlap=50.0, wait=0.0)
TENANTS = ("acme", "globex")

# What a source may do next: say the same again, or something else, which lives so long; or fail.
SUCCESSES = st.tuples(st.booleans(), st.sampled_from([None, None, None, 400.0, 30.0, 0.5, 0.0]))
FAILURES = st.builds(
    lambda failure, after: SourceError("down", failure=failure, retry_after=after),
    st.sampled_from(list(Failure)),
    st.sampled_from([None, 30.0, 7200.0]),
)
REPLIES = st.one_of(SUCCESSES, SUCCESSES, FAILURES)
TIMES = st.sampled_from([0.0, 0.0, 0.5, 1.0, 5.0, 10.0, 30.0, 61.0, 100.0, 600.0])
MEANWHILE = st.sampled_from(
    ["nothing", "nothing", "nothing", "refresh", "refused", "read", "overtaken", "late"]
)


class Schedule:
    """Calls nobody: the test says when something is due."""

    def at(self, when: float, thing: object) -> None:
        assert when > -math.inf


class Refresher:
    """Runs a job when the test says so, and not before."""

    def __init__(self) -> None:
        self.schedule = Schedule()
        self.jobs: list[Callable[[], None]] = []

    def submit(self, lane: str, job: Callable[[], None]) -> None:
        assert "store" == lane
        self.jobs.append(job)


def read(held: Held) -> Secret | None:
    return held.document.secret(None, "api_key")


class KeeperMachine(RuleBasedStateMachine):
    """A keeper, its source, the service that judges its values, and the time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.dice = 0.5
        self.refresher = Refresher()
        self.reply: tuple[bool, float | None] | SourceError = (True, None)
        self.value = 0
        self.meanwhile = "nothing"
        self.started: dict[int, float] = {}  # of the flight that brought a document, by its id
        self.documents: list[Document] = []  # which keeps the ids from being used again
        self.given: list[Held] = []
        self.held_off: dict[str, float] = {}  # tenants whose 401s brought nothing new, and when
        self.changes: list[Change] = []
        self.newest_start = -math.inf
        self.keeper = Keeper(
            self.fetch,
            self.refresher,  # type: ignore[arg-type]  # a stand-in with what a keeper uses
            "store",
            POLICY,
            clock=lambda: self.now,
            dice=lambda: self.dice,
            on_change=self.changes.append,
        )

    # -- the source -------------------------------------------------------------------------------

    def fetch(self, *, forced: bool) -> Document:
        flight = self.keeper._flight
        assert flight is not None
        assert forced is flight.forced
        reply, meanwhile, self.meanwhile = self.reply, self.meanwhile, "nothing"
        self.happen(meanwhile)
        if isinstance(reply, SourceError):
            raise reply
        same, lifetime = reply
        self.value += not same
        document = Document(f"v{self.value}", lifetime=lifetime)
        self.documents.append(document)
        self.started[id(document)] = flight.started
        return document

    def happen(self, meanwhile: str) -> None:
        """Let something happen while a fetch is on its way."""
        if meanwhile == "late":
            self.now += FLIGHT_LIMIT + 1.0
            self.keeper.prefetch()
        elif meanwhile in {"refresh", "overtaken"}:
            self.now += 1.0
            self.keeper.refresh()
        elif meanwhile == "refused" and self.given:
            self.keeper.replacement(read(self.given[-1]), read)
        elif meanwhile == "read":
            self.serve(trying=False)
        if meanwhile in {"late", "overtaken"}:
            self.fly(0.0)

    def fly(self, takes: float) -> None:
        if self.refresher.jobs:
            self.now += takes
            self.refresher.jobs.pop(0)()

    # -- what happens -----------------------------------------------------------------------------

    @initialize(dice=st.sampled_from([0.0, 0.5, 1.0]), accepted=st.booleans())
    def begin(self, dice: float, accepted: bool) -> None:
        self.dice = dice
        self.keeper.prefetch()
        self.fly(0.0)
        self.serve(trying=True)
        if accepted:
            self.accept()

    @rule(seconds=TIMES)
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule(reply=REPLIES, takes=TIMES, meanwhile=MEANWHILE)
    @precondition(lambda self: bool(self.refresher.jobs))
    def land(
        self, reply: tuple[bool, float | None] | SourceError, takes: float, meanwhile: str
    ) -> None:
        self.reply, self.meanwhile = reply, meanwhile
        flight, before = self.keeper._flight, self.value
        self.fly(takes)
        if self.value != before:
            self.held_off.clear()
        elif (
            flight is not None
            and flight.reason is Reason.REJECTED
            and meanwhile == "nothing"
            and takes < FLIGHT_LIMIT
            and self.keeper.error is None
        ):
            self.held_off[flight.tenant] = self.now

    @rule(lifetime=st.sampled_from([None, 400.0, 30.0]), good=st.booleans())
    def rotate(self, lifetime: float | None, good: bool) -> None:
        """A new value comes, and the service judges it."""
        self.keeper.refresh()
        while self.refresher.jobs:
            self.land((False, lifetime), 0.0, "nothing")
        self.serve(trying=True)
        if good:
            self.accept()
        else:
            self.refuse("acme")

    @rule(trying=st.booleans())
    def serve(self, trying: bool) -> None:
        holding, now = self.keeper.holding, self.now
        old, trial = holding.held, holding.trial
        old_usable = old is not None and old.usable(now)
        new_usable = trial is not None and trial.held.usable(now)
        try:
            found = self.keeper.current(trying=trying)
        except Unavailable as unavailable:
            after = unavailable.retry_after
        else:
            self.given.append(found)
            self.check(found, old, trial, trying=trying)
            return
        assert not old_usable
        assert not new_usable
        assert 0.0 <= after <= DENIED_DELAYS[-1]

    def check(self, found: Held, old: Held | None, trial: Trial | None, *, trying: bool) -> None:
        now = self.now
        assert now < found.limits.hard
        if old is None or not old.usable(now) or found is old:
            return
        # A new value is for one who tries it, and then for nobody for a while.
        assert trying
        assert trial is not None
        assert found is trial.held
        assert trial.at >= now + FORCED_BASE

    @rule()
    @precondition(lambda self: bool(self.given))
    def accept(self) -> None:
        held = self.given[-1]
        self.keeper.accepted(held)
        self.held_off.clear()

    @rule(tenant=st.sampled_from(TENANTS))
    @precondition(lambda self: bool(self.given))
    def refuse(self, tenant: str) -> None:
        used = read(self.given[-1])
        jobs, reported = len(self.refresher.jobs), len(self.changes)
        found = self.keeper.replacement(used, read, tenant)
        assert found is None or read(found) != used
        assert len(self.changes) - reported <= 1
        flight = self.keeper._flight
        if len(self.refresher.jobs) > jobs:
            assert flight is not None
            assert Reason.REJECTED is flight.reason
            assert self.now >= self.held_off.get(tenant, -math.inf) + FORCED_BASE

    @rule(drop_previous=st.booleans())
    def refresh(self, drop_previous: bool) -> None:
        flight = self.keeper.refresh(drop_previous=drop_previous)
        assert flight.forced

    @rule(age=TIMES)
    def outdate(self, age: float) -> None:
        self.keeper.outdate(self.now - age)

    @rule()
    def due(self) -> None:
        self.keeper.in_use = True
        self.keeper.due()

    @rule(every=st.sampled_from([10.0, 100.0]), wanted=st.booleans())
    def tighten(self, every: float, wanted: bool) -> None:
        self.keeper.obey(
            self.keeper.policy.tightened(
                RefreshPolicy(every, 500.0, 50.0, 0.0, drop_removed=wanted)
            )
        )

    @rule()
    def fork(self) -> None:
        self.keeper.after_fork()
        self.refresher.jobs.clear()  # their threads stayed with the parent

    # -- what is always true ----------------------------------------------------------------------

    @invariant()
    def what_may_be_read_without_looking_is_fresh(self) -> None:
        holding = self.keeper.holding
        if self.now < holding.fresh_until:
            assert holding.held is not None
            assert self.now < holding.held.limits.hard
            assert holding.newest is not None
            assert self.now < holding.newest.limits.soft

    @invariant()
    def the_back_off_is_bounded(self) -> None:
        assert self.keeper.backoff.until - self.now <= DENIED_DELAYS[-1]

    @invariant()
    def a_value_never_gives_way_to_an_older_one(self) -> None:
        newest = self.keeper.holding.newest
        if newest is not None:
            started = self.started[id(newest.document)]
            assert started >= self.newest_start
            self.newest_start = started

    @invariant()
    def one_flight_counts(self) -> None:
        flight = self.keeper._flight
        assert flight is None or not flight.done.done()
        assert flight is None or self.refresher.jobs


TestKeeper = KeeperMachine.TestCase
TestKeeper.settings = settings(
    max_examples=200,
    stateful_step_count=40,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
