"""tenantry in Celery: the current tenant travels with every task.

    app = Celery("reports", broker=...)
    registry = ClientRegistry.open("config/tenants.yaml")
    install(app, registry=registry)             # before the tasks

    @app.task
    def summarize(text: str) -> str:
        return registry.client().responses.create(model="gpt-5", input=text).output_text

    with use_tenant("acme"):
        summarize.delay("...")                  # and inside the task, acme is current

What a task publishes itself belongs to its tenant: retries, the rest of a chain, a chord's body,
`link` and `link_error`. Beat has no tenant, so that its tasks name one themselves. Whoever may
publish to the broker chooses the tenant: messages are as trusted as the broker is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tenantry.context import current_tenant, use_tenant
from tenantry.errors import MissingExtraError, NoCurrentTenantError, TenantQuarantinedError

try:
    from celery import VERSION, signals
except ImportError as error:
    raise MissingExtraError("celery", needed_for="tenants' tasks") from error

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from celery import Celery

    from tenantry.registry import ClientRegistry

if VERSION[:2] < (
    5,
    7,
):  # they run what is called at once for the caller's tenant, whoever is named
    raise MissingExtraError(
        "celery",
        needed_for=f"tenants' tasks (Celery 5.7 at least, and here is {VERSION[0]}.{VERSION[1]})",
    )

HEADER = "tenantry_tenant"


def install(app: Celery, *, registry: ClientRegistry) -> Callable[[], None]:
    """Let the current tenant travel with the tasks of an app; returns what ends it.

    A task whose header names a tenant that `registry` does not know fails with
    `UnknownTenantError` before it runs, and `autoretry_for` does not try it again. The registry is
    closed when a worker shuts down, in each of its processes; one that is forked needs no other.

    Call it before the app's tasks are defined: they are checked by the base class that they get.
    """
    installed = _Installed(app, registry)
    installed.connect()
    return installed.disconnect


class _Installed:
    """One app's tasks and the tenants that they run for."""

    def __init__(self, app: Celery, registry: ClientRegistry) -> None:
        self._app: Any = app  # its task class can be replaced, which its types deny
        self._registry = registry
        self._base: Any = app.Task
        self._entered: dict[int, AbstractContextManager[str]] = {}  # by the id of a task's request
        self._handlers: tuple[tuple[Any, Callable[..., None]], ...] = (
            (signals.before_task_publish, self._published),
            (signals.task_prerun, self._begun),
            (signals.task_postrun, self._ended),
            (signals.worker_process_shutdown, self._shut_down),
            (signals.worker_shutdown, self._shut_down),
        )

    def connect(self) -> None:
        for signal, handler in self._handlers:
            signal.connect(handler, weak=False)
        body = {"abstract": True, "before_start": _checking(self._base, self._registry)}
        self._app.Task = type("TenantTask", (self._base,), body)

    def disconnect(self) -> None:
        for signal, handler in self._handlers:
            signal.disconnect(handler)
        self._app.Task = self._base

    # Signals and not a method of the task: what a task is followed by is published after it
    # returned, when only they still know that it ran.

    def _published(self, headers: dict[str, Any], **_: object) -> None:
        try:
            headers.setdefault(HEADER, current_tenant())
        except NoCurrentTenantError:
            return

    def _begun(self, task: Any, **_: object) -> None:
        tenant = _named_by(task.request)
        # Without a header: a task that runs at once, in the context of who called it; or nobody's.
        if tenant is not None and task.app is self._app:
            entered = self._entered[id(task.request)] = use_tenant(tenant)
            entered.__enter__()

    def _ended(self, task: Any, **_: object) -> None:
        entered = self._entered.pop(id(task.request), None)
        if entered is not None:
            entered.__exit__(None, None, None)

    def _shut_down(self, **_: object) -> None:
        self._registry.close()


def _checking(base: Any, registry: ClientRegistry) -> Callable[..., None]:
    """Return what Celery calls before a task's body, outside of all that retries it."""

    def before_start(task: Any, task_id: str, args: Any, kwargs: Any) -> None:
        tenant = _named_by(task.request)
        if tenant is not None:
            _check(registry, tenant)
        base.before_start(task, task_id, args, kwargs)

    return before_start


def _check(registry: ClientRegistry, tenant: str) -> None:
    """Refuse a tenant that nobody knows; one in quarantine may be served later.

    Raises:
        UnknownTenantError: nobody has that name.
    """
    try:
        registry.catalog.get(tenant)
    except TenantQuarantinedError:
        return


def _named_by(request: Any) -> str | None:
    tenant = (request.headers or {}).get(HEADER)
    return None if tenant is None else str(tenant)
