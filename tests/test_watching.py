"""Files that change are taken once they have settled, and whoever forks goes on watching."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from tests.forking import forked, joined

from tenantry import ClientRegistry
from tenantry.loading import Contents, read_contents
from tenantry.schedule import Schedule
from tenantry.watching import THOROUGH, Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LIMIT = 30.0


class Watched:
    """A watcher that looks when the test says so."""

    def __init__(self, *paths: Path) -> None:
        self.taken: list[Contents] = []
        self.schedule = Schedule()
        contents = read_contents(paths)
        self.watcher = Watcher(
            paths, contents, 3600.0, self.taken.append, self.schedule, lambda _, job: job()
        )

    def look(self, times: int = 1) -> int:
        """Look so many times; return how many changes were taken until now."""
        for _ in range(times):
            self.watcher.look()
        return len(self.taken)


@pytest.fixture
def watch() -> Iterator[Callable[..., Watched]]:
    made: list[Watched] = []

    def make(*paths: Path) -> Watched:
        made.append(Watched(*paths))
        return made[-1]

    yield make
    for each in made:
        each.schedule.close()


def write_anew(file: Path, text: str) -> None:
    """Replace a file as editors and deployments do."""
    new = file.with_name(".new")
    new.write_text(text)
    new.replace(file)


def test_what_did_not_change_is_not_taken(tmp_path: Path, watch: Callable[..., Watched]) -> None:
    """However often is looked."""
    (tmp_path / "a.yaml").write_text("tenants: {}")
    assert 0 == watch(tmp_path).look(3 * THOROUGH)


def test_a_change_is_taken_when_two_looks_agree(
    tmp_path: Path, watch: Callable[..., Watched]
) -> None:
    """A file that is still being written is waited for."""
    file = tmp_path / "a.yaml"
    file.write_text("tenants: {}")
    watched = watch(tmp_path)
    for step in range(3):
        file.write_text(f"tenants: {{}} # {step}")
        assert 0 == watched.look()
    assert 1 == watched.look()
    assert watched.taken == [read_contents([tmp_path])]
    assert 1 == watched.look(3 * THOROUGH)


def test_what_came_back_is_no_change(tmp_path: Path, watch: Callable[..., Watched]) -> None:
    """A change that is taken back before it settled was none."""
    file = tmp_path / "a.yaml"
    file.write_text("before")
    watched = watch(file)
    file.write_text("after")
    watched.look()
    file.write_text("before")
    assert 0 == watched.look(3)


def test_a_change_between_opening_and_watching_is_seen(
    tmp_path: Path, watch: Callable[..., Watched]
) -> None:
    """The first look reads, whatever sizes and times say."""
    file = tmp_path / "a.yaml"
    file.write_text("before")
    watched = watch(file)
    at = file.stat()
    file.write_text("behind")
    os.utime(file, ns=(at.st_atime_ns, at.st_mtime_ns))
    assert 1 == watched.look(2)


def test_a_rewrite_that_leaves_no_trace_is_seen_in_the_end(
    tmp_path: Path, watch: Callable[..., Watched]
) -> None:
    """Same inode, size and time: every tenth look reads all the same."""
    file = tmp_path / "a.yaml"
    file.write_text("before")
    watched = watch(file)
    watched.look(2)
    at = file.stat()
    file.write_text("behind")
    os.utime(file, ns=(at.st_atime_ns, at.st_mtime_ns))
    assert 1 == watched.look(2 * THOROUGH)


def test_renames_new_files_and_deleted_ones_are_seen(
    tmp_path: Path, watch: Callable[..., Watched]
) -> None:
    """Each is a change of the directory's content."""
    file, other = tmp_path / "a.yaml", tmp_path / "more" / "b.yaml"
    file.write_text("1")
    watched = watch(tmp_path)
    write_anew(file, "2")
    assert 1 == watched.look(2)
    other.parent.mkdir()
    other.write_text("1")
    assert 2 == watched.look(2)
    other.unlink()
    assert 3 == watched.look(2)
    file.rename(tmp_path / "c.yaml")
    assert 4 == watched.look(2)


def test_a_directory_that_is_gone_and_comes_back(
    tmp_path: Path, watch: Callable[..., Watched]
) -> None:
    """Neither raises; both are changes, and what they mean is the reload's matter."""
    home = tmp_path / "config"
    home.mkdir()
    (home / "a.yaml").write_text("1")
    watched = watch(home)
    home.rename(tmp_path / "elsewhere")
    assert 1 == watched.look(2)
    (tmp_path / "elsewhere").rename(home)
    assert 2 == watched.look(2)


def test_the_links_of_kubernetes_are_followed(
    tmp_path: Path, watch: Callable[..., Watched]
) -> None:
    """A mounted ConfigMap swaps the directory behind a link; fifteen swaps are fifteen changes."""
    (tmp_path / "..data").symlink_to("..0")
    (tmp_path / "..0").mkdir()
    (tmp_path / "..0" / "a.yaml").write_text("0")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    watched = watch(tmp_path)
    for number in range(1, 16):
        home = tmp_path / f"..{number}"
        home.mkdir()
        (home / "a.yaml").write_text(str(number))
        (tmp_path / "..next").symlink_to(home.name)
        (tmp_path / "..next").replace(tmp_path / "..data")
        assert number == watched.look(2)


def test_what_cannot_be_used_is_tried_once(tmp_path: Path, watch: Callable[..., Watched]) -> None:
    """The same bytes never become usable: they are not tried at every look."""
    file = tmp_path / "a.yaml"
    file.write_text("good")
    watched = watch(file)
    file.write_text("bad")
    assert 1 == watched.look(3 * THOROUGH)
    file.write_text("good")
    assert 2 == watched.look(2)


class Jobs:
    """Threads that run nothing until they are told to, or of which there are no more."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []
        self.exhausted = False

    def submit(self, _: str, job: Callable[[], None]) -> None:
        if self.exhausted:
            raise RuntimeError
        self.waiting.append(job)

    def run(self) -> None:
        while self.waiting:
            self.waiting.pop()()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def schedule(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Schedule:
    """A schedule that the test runs itself."""
    monkeypatch.setattr(Schedule, "_start", lambda _: None)
    return Schedule(clock)


def looks(jobs: Jobs, schedule: Schedule, clock: Clock, seconds: int) -> int:
    """Return how many looks begin within so many seconds."""
    begun = 0
    for _ in range(seconds):
        clock.now += 1.0
        schedule.run_due()
        begun += len(jobs.waiting)
        jobs.run()
    return begun


def test_a_child_looks_as_often_as_its_parent(
    tmp_path: Path, schedule: Schedule, clock: Clock
) -> None:
    """What the parent had asked for is in the child's schedule, too: no second chain of looks."""
    jobs = Jobs()
    watcher = Watcher(
        [tmp_path], read_contents([tmp_path]), 10.0, lambda _: None, schedule, jobs.submit
    )
    clock.now = 5.0
    for _ in range(3):
        watcher._again()  # what every fork does
    assert 4 == looks(jobs, schedule, clock, 40)


def test_without_threads_it_looks_later(tmp_path: Path, schedule: Schedule, clock: Clock) -> None:
    """A process that can have no more threads for a while goes on watching after that."""
    jobs = Jobs()
    watcher = Watcher(
        [tmp_path], read_contents([tmp_path]), 10.0, lambda _: None, schedule, jobs.submit
    )
    jobs.exhausted = True
    assert 0 == looks(jobs, schedule, clock, 25)
    jobs.exhausted = False
    assert 1 == looks(jobs, schedule, clock, 10)
    assert watcher.every == 10.0


# -- in a registry --------------------------------------------------------------------------------


def text(*tenants: str) -> str:
    said = "".join(f"  {name}: {{api_key: {{env: KEY}}}}\n" for name in tenants)
    return f"registry: {{watch: 20ms, max_removals: 1}}\ntenants:\n{said}"


def comes_to_be(names: list[str], registry: ClientRegistry) -> bool:
    deadline = time.monotonic() + LIMIT
    while names != list(registry.tenants) and time.monotonic() < deadline:
        time.sleep(0.01)
    return names == list(registry.tenants)


def test_a_registry_watches_its_files(tmp_path: Path) -> None:
    """A file that changes is reloaded without anybody asking; a broken one is not."""
    file = tmp_path / "tenants.yaml"
    file.write_text(text("acme"))
    with ClientRegistry.open(file, environ={"KEY": "sk-1"}) as registry:
        write_anew(file, text("acme", "globex"))
        assert comes_to_be(["acme", "globex"], registry)
        write_anew(file, "tenants: [")
        write_anew(file, text("globex"))
        assert comes_to_be(["globex"], registry)


def test_who_says_nothing_is_not_watched(tmp_path: Path) -> None:
    """Without `registry.watch` a registry starts no looking."""
    file = tmp_path / "tenants.yaml"
    file.write_text("tenants: {acme: {api_key: {env: KEY}}}")
    with ClientRegistry.open(file, environ={"KEY": "sk-1"}) as registry:
        assert not hasattr(registry, "_watcher")


def test_children_go_on_watching(tmp_path: Path) -> None:
    """A forked child that touches nothing else sees a change of the file."""
    file = tmp_path / "tenants.yaml"
    file.write_text(text("acme"))
    with ClientRegistry.open(file, environ={"KEY": "sk-1"}) as registry:

        def work() -> None:
            assert comes_to_be(["acme", "globex"], registry)

        child = forked(work)
        write_anew(file, text("acme", "globex"))
        assert [0] == joined(child)
        assert comes_to_be(["acme", "globex"], registry)
