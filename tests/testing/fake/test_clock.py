"""Time stands still until it is let pass, and what falls due is over by then."""

from __future__ import annotations

import functools

from tenantry.testing.fake.clock import FrozenClock, FrozenSchedule, SettlingRefresher


class Alarm:
    """Notes when it is called, and asks for another call."""

    def __init__(self, clock: FrozenClock, schedule: FrozenSchedule) -> None:
        self.clock = clock
        self.schedule = schedule
        self.rang: list[float] = []

    def due(self) -> None:
        self.rang.append(self.clock())
        self.schedule.at(self.clock() + 10, self)


def test_nothing_is_called_before_time_passes() -> None:
    """No thread looks at the schedule: only who lets time pass does."""
    clock = FrozenClock()
    schedule = FrozenSchedule(clock)
    alarm = Alarm(clock, schedule)
    schedule.at(0.0, alarm)
    assert schedule._thread is None
    assert 10 == schedule.run_due()
    assert [0.0] == alarm.rang


def test_a_refresher_can_be_waited_for() -> None:
    """When it has settled all jobs are done, those that failed included."""
    refresher, done = SettlingRefresher(FrozenSchedule(FrozenClock())), list[int]()
    jobs = [functools.partial(lambda number: done.append(1 // number), n) for n in range(20)]
    for number, job in enumerate(jobs):
        refresher.submit(f"lane {number % 3}", job)
    refresher.settle()
    assert 19 == len(done)
    refresher.close()
