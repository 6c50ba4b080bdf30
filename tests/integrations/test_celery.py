"""The current tenant travels with Celery's tasks, and with all that follows them."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from tenantry import (
    NoCurrentTenantError,
    RegistryClosedError,
    UnknownTenantError,
    current_tenant,
    use_tenant,
)
from tenantry.testing import FakeRegistry

celery = pytest.importorskip("celery", reason="celery is not installed")

from celery import chain, chord, group, signals  # noqa: E402  # where it is installed
from celery.contrib.testing.worker import start_worker  # noqa: E402

from tenantry.integrations.celery import HEADER, install  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMIT = 20.0  # seconds after which a test that hangs fails
NOBODY = "nobody"
_numbers = itertools.count()  # of queues, which all apps of a process share


class Shop:
    """An app with a worker in this process, and tasks that say whose they are."""

    def __init__(self, registry: FakeRegistry) -> None:
        self.registry = registry
        self.app: Any = celery.Celery("shop", broker="memory://", backend="cache+memory://")
        self.app.conf.update(
            broker_connection_retry_on_startup=True,
            result_extended=True,
            task_store_eager_result=True,
            worker_hijack_root_logger=False,
            task_default_queue=f"shop-{next(_numbers)}",
            broker_transport_options={"polling_interval": 0.02},
        )
        self.uninstall: Callable[[], None] = install(self.app, registry=registry)
        # Shared tasks would be every later app's, too.
        self.task: Any = functools.partial(self.app.task, shared=False)
        self.runs = 0
        self.told: list[str] = []
        self.who = self.task(_who, name="who")
        self.join = self.task(_join, name="join")
        self.fail = self.task(_fail, name="fail")
        self.define()

    def define(self) -> None:
        """Define the tasks that need the shop; Celery takes functions, not methods."""

        def ask() -> str | None:
            self.runs += 1
            reply = self.registry.client().chat.completions.create(model="any", messages=[])
            return reply.choices[0].message.content

        def retry() -> str:
            self.runs += 1
            if self.runs == 1:
                raise self.retry.retry(countdown=0)
            return _who()

        def again() -> str:
            return str(self.who.delay().id)

        def tell(_: object) -> None:
            self.told.append(_who())

        self.ask = self.task(ask)
        self.ask_keenly = self.task(
            ask, name="ask-keenly", autoretry_for=(Exception,), max_retries=None
        )
        self.retry = self.task(retry, max_retries=3)
        self.again = self.task(again)
        self.tell = self.task(tell)

    def close(self) -> None:
        self.uninstall()
        self.app.close()

    def result(self, sent: Any) -> Any:
        return sent.get(timeout=LIMIT)


def _who(*_: object) -> str:
    try:
        return current_tenant()
    except NoCurrentTenantError:
        return NOBODY


def _join(before: str | list[str]) -> list[str]:
    return [*([before] if isinstance(before, str) else before), _who()]


def _fail() -> None:
    raise ValueError("as it was asked to")


@pytest.fixture(scope="module")
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry("acme", "globex") as made:
        made.reply("acme", "Hello from acme")
        made.reply("globex", "Hello from globex")
        yield made


@pytest.fixture
def shop(registry: FakeRegistry) -> Iterator[Shop]:
    """An app that nobody works for: its tasks run where they are called."""
    with contextlib.closing(Shop(registry)) as made:
        yield made


@pytest.fixture(scope="module", autouse=True)
def root_level() -> Iterator[None]:
    """A worker sets the level of the root logger, for everybody who comes after it."""
    before = logging.getLogger().level
    yield
    logging.getLogger().setLevel(before)


@pytest.fixture(scope="module")
def worked_shop(registry: FakeRegistry) -> Iterator[Shop]:
    """One worker for all tests: it takes seconds to end."""
    with (
        contextlib.closing(Shop(registry)) as made,
        start_worker(made.app, perform_ping_check=False, shutdown_timeout=LIMIT),
    ):
        yield made


@pytest.fixture
def open_shop(worked_shop: Shop) -> Shop:
    """An app with a worker in this process."""
    worked_shop.runs = 0
    worked_shop.told.clear()
    return worked_shop


def test_a_task_runs_for_the_tenant_that_sent_it(open_shop: Shop) -> None:
    """`client()` inside a task is that of who called `delay` or `apply_async`, tenant by tenant."""
    sent = []
    for tenant in ("acme", "globex", "acme"):
        with use_tenant(tenant):
            sent += [open_shop.ask.delay(), open_shop.ask.apply_async()]
    expected = [f"Hello from {name}" for name in ("acme", "globex", "acme") for _ in range(2)]
    assert expected == [open_shop.result(each) for each in sent]


def test_nobody_is_current_in_a_task_that_nobody_sent(open_shop: Shop) -> None:
    """What beat sends has no tenant, not even the one of the task before it."""
    with use_tenant("acme"):
        assert "acme" == open_shop.result(open_shop.who.delay())
    assert NOBODY == open_shop.result(open_shop.who.delay())
    with pytest.raises(Exception, match=r"NoCurrentTenantError|no tenant was named"):
        open_shop.result(open_shop.ask.delay())


def test_a_header_of_ones_own_is_obeyed(open_shop: Shop) -> None:
    """Beat's entries, and who sends for somebody else, name the tenant in the headers."""
    with use_tenant("acme"):
        sent = open_shop.who.apply_async(headers={HEADER: "globex"})
    assert "globex" == open_shop.result(sent)


def test_a_retry_is_for_the_same_tenant(open_shop: Shop) -> None:
    """A task that retries itself runs again for the tenant that it began with."""
    with use_tenant("acme"):
        sent = open_shop.retry.delay()
    assert "acme" == open_shop.result(sent)
    assert 2 == open_shop.runs


def test_a_task_sends_others_for_its_tenant(open_shop: Shop) -> None:
    """What a task sends goes on for its tenant."""
    with use_tenant("acme"):
        inner = open_shop.result(open_shop.again.delay())
    assert "acme" == open_shop.result(open_shop.app.AsyncResult(inner))


@pytest.mark.parametrize("shape", ["group", "chain", "chord"])
def test_a_workflow_is_for_one_tenant(open_shop: Shop, shape: str) -> None:
    """Every part of a group, chain or chord runs for who sent it, the last one included."""
    who, join = open_shop.who, open_shop.join
    workflow, expected = {
        "group": (group(who.si(), who.si()), ["acme", "acme"]),
        "chain": (chain(who.si(), join.s(), join.s()), ["acme", "acme", "acme"]),
        "chord": (chord([who.si(), who.si()], join.s()), ["acme", "acme", "acme"]),
    }[shape]
    with use_tenant("acme"):
        sent = workflow.apply_async()
    assert expected == open_shop.result(sent)


def test_callbacks_are_for_the_same_tenant(open_shop: Shop) -> None:
    """What `link` and `link_error` name runs for the tenant of the task that they follow."""
    with use_tenant("globex"):
        open_shop.who.apply_async(link=open_shop.tell.s())
        open_shop.fail.apply_async(link_error=open_shop.tell.s())
    assert _comes(lambda: ["globex", "globex"] == open_shop.told)


def _comes(true: Callable[[], bool]) -> bool:
    pause = threading.Event()
    return any(true() or pause.wait(0.05) for _ in range(int(LIMIT / 0.05)))


def test_an_unknown_tenant_fails_the_task_at_once(open_shop: Shop) -> None:
    """The task does not run, and not even `autoretry_for` every error tries it again."""
    sent = open_shop.ask_keenly.apply_async(headers={HEADER: "acmee"})
    with pytest.raises(Exception, match="acmee"):
        open_shop.result(sent)
    assert ("FAILURE", 0) == (sent.state, open_shop.runs)
    assert "unknown tenant 'acmee'" in sent.traceback


def test_what_runs_at_once_runs_for_the_current_tenant(shop: Shop) -> None:
    """Tasks that are called, or run eagerly, see the caller's tenant, which then is as before."""
    shop.app.conf.task_always_eager = True
    with use_tenant("acme"):
        assert "acme" == shop.who()
        assert "acme" == shop.who.delay().get()
        assert "globex" == shop.who.apply_async(headers={HEADER: "globex"}).get()
        assert ["acme", "acme"] == chain(shop.who.si(), shop.join.s()).apply_async().get()
        assert "acme" == current_tenant()
    assert NOBODY == shop.who.delay().get()


def test_threads_run_for_different_tenants_at_once(shop: Shop) -> None:
    """With a pool of threads each task sees its own tenant, whoever runs beside it."""
    both = threading.Barrier(2, timeout=LIMIT)

    def meet() -> str:
        both.wait()
        found = _who()
        both.wait()
        return found

    met = shop.task(meet, name="meet")
    with (
        start_worker(shop.app, perform_ping_check=False, pool="threads", concurrency=2),
        ThreadPoolExecutor(2) as senders,
    ):
        sent = list(senders.map(lambda name: _sent_for(name, met), ("acme", "globex")))
        assert ["acme", "globex"] == [shop.result(each) for each in sent]


def _sent_for(tenant: str, task: Any) -> Any:
    with use_tenant(tenant):
        return task.delay()


def test_tasks_of_another_app_are_left_alone(shop: Shop) -> None:
    """A worker's process may hold apps that know nothing of tenants."""
    with contextlib.closing(celery.Celery("other", broker="memory://")) as other:
        who = other.task(_who, name="other-who", shared=False)
        assert NOBODY == who.apply(headers={HEADER: "acme"}).get()


def test_a_task_of_ones_own_class_is_served_too(shop: Shop) -> None:
    """Who brings a base class and calls `super` loses nothing."""
    begun: list[str] = []

    class Own(shop.app.Task):  # type: ignore[name-defined,misc]  # made when the app is
        def before_start(self, *args: Any) -> None:
            begun.append(_who())
            super().before_start(*args)

    who = shop.task(_who, name="own", base=Own)
    with pytest.raises(UnknownTenantError):
        who.apply(headers={HEADER: "nobody-knows"}, throw=True)
    assert "acme" == who.apply(headers={HEADER: "acme"}).get()
    assert ["nobody-knows", "acme"] == begun


@pytest.mark.parametrize("name", ["worker_process_shutdown", "worker_shutdown"])
def test_the_registry_is_closed_with_the_worker(name: str) -> None:
    """When a worker, or a process of its pool, has shut down, nothing is handed out any more."""
    registry = FakeRegistry("acme")
    with contextlib.closing(Shop(registry)):
        getattr(signals, name).send(sender=None)
    with pytest.raises(RegistryClosedError):
        registry.client("acme")


def test_it_can_be_ended(registry: FakeRegistry) -> None:
    """After what `install` returned was called, tasks go without a tenant."""
    with contextlib.closing(Shop(registry)) as shop:
        shop.uninstall()
        who = shop.task(_who, name="afterwards")
        assert NOBODY == who.apply(headers={HEADER: "acme"}).get()


@pytest.mark.parametrize(
    ("here", "told"),
    [
        ("sys.modules['celery'] = None", "tenants' tasks need more packages"),
        (
            "import celery; celery.VERSION = celery.version_info_t(5, 6, 2, '', '')",
            "tenants' tasks (Celery 5.7 at least, and here is 5.6) need more packages",
        ),
    ],
)
def test_without_celery_or_with_an_older_one(here: str, told: str) -> None:
    """Where Celery is missing, or runs tasks for the wrong tenant, the import says what to do."""
    code = f"import sys; {here}; import tenantry.integrations.celery"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"MissingExtraError: {told}: pip install 'tenantry[celery]'" in done.stderr
