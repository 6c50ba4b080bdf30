"""An embedded Vault on a loopback port, for tests and demos."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tenantry.testing.vault import faults
from tenantry.testing.vault.access_controls import AccessControls
from tenantry.testing.vault.core import VaultCore, VaultRequest
from tenantry.testing.vault.quotas import RateLimit
from tenantry.testing.vault.recording import (
    Operation,
    RecordedRequest,
    Recorder,
    operation_of,
)
from tenantry.testing.vault.wire import Application

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp

    from tenantry.testing.certificates import ServerCertificate
    from tenantry.testing.vault.envelope import Reply


class VaultServer(AccessControls):
    """A Vault that answers real clients, from `start` (or `with`) to `stop`.

    It comes up unsealed with `root_token` and a KV 2 engine at secret/; its data outlives a
    restart. `clock` returns the epoch in seconds: a test that passes its own needs not sleep.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        root_token: str = "root",
        port: int = 0,
        certificate: ServerCertificate | None = None,
    ) -> None:
        super().__init__(clock=clock, root_token=root_token, port=port, certificate=certificate)
        asks = certificate is not None and certificate.client_ca_file is not None
        self._state.certificate_presented = asks
        self._core = VaultCore(self._state, clock)
        self._recorder = Recorder()
        self._faults = faults.Faults()

    def __repr__(self) -> str:
        where = "stopped" if self._serving is None else self.url
        sealed = "sealed" if self._state.sealed else "unsealed"
        return f"<{type(self).__name__} {where} {sealed}>"

    def application(self) -> ASGIApp:
        """Return the ASGI application."""
        return Application(self._answer)

    @property
    def unseal_key(self) -> str:
        """The one key that sys/unseal takes, 64 hexadecimal digits."""
        return self._state.unseal_key

    def seal(self) -> None:
        """Answer everything but sys/health and the like with 503, until `unseal`."""
        with self.lock:
            self._state.sealed = True

    def unseal(self) -> None:
        """Serve again; tokens and data are as they were."""
        with self.lock:
            self._state.sealed = False

    def standby(self, location: str | None) -> None:
        """Redirect everything to the origin `location` with 307; None ends it."""
        with self.lock:
            self._state.standby_location = location

    def quota(self, path: str, rate: int | None, interval: float = 1.0) -> None:
        """Answer 429 beyond `rate` requests per `interval` seconds below `path` ("": everywhere).

        Replies tell about it in X-Ratelimit headers and Retry-After. A rate of None lifts it.
        """
        with self.lock:
            limits = self._state.quotas.limits
            limits.pop(path, None)
            if rate is not None:
                limits[path] = RateLimit(path, rate, interval)
                self._state.quotas.with_headers = True

    def fail_next(
        self,
        status: int,
        *,
        times: int = 1,
        retry_after: float | None = None,
        path: str | None = None,
    ) -> None:
        """Answer the next `times` requests with `status`, of those whose path starts with `path`.

        Paths are those after `/v1/`. `retry_after` are seconds. Several calls queue up.
        """
        with self.lock:
            self._faults.add(faults.failure(status, retry_after), times=times, path=path)

    def reply_html_next(self, *, times: int = 1, path: str | None = None) -> None:
        """Answer the next `times` requests with 200 and a page of HTML, as a proxy would."""
        with self.lock:
            self._faults.add(faults.page(), times=times, path=path)

    def slow(self, seconds: float, times: int | None = None, *, path: str | None = None) -> None:
        """Let requests wait before they are looked at, `times` of them or all; 0 ends it."""
        with self.lock:
            self._faults.slow(seconds, times=times, path=path)

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """The requests answered so far, in the order of their answers."""
        with self.lock:
            return self._recorder.requests

    def count(self, operation: Operation, *, status: int | None = None) -> int:
        """How many requests of a kind were answered, or were answered with `status`."""
        with self.lock:
            return self._recorder.count(operation, status)

    def clear_requests(self) -> None:
        """Forget the recorded requests; counts start again from 0."""
        with self.lock:
            self._recorder.clear()

    async def _answer(self, request: VaultRequest) -> Reply:
        with self.lock:
            sequence, received_at = self._recorder.arrive(), self._clock()
            pause = self._faults.pause(request.path)
        if pause:
            await asyncio.sleep(pause)
        with self.lock:
            # A token may be gone after the request: who asked is looked up before.
            caller, (namespace, path) = self._caller(request), self._core.locate(request)
            reply = self._faults.take(request.path) or self._core.answer(request)
            mount = namespace.mount_of(path)
            operation = operation_of(path, request.operation, mount)
            self._recorder.add(
                RecordedRequest(
                    sequence=sequence,
                    received_at=received_at,
                    method=request.method,
                    path=path,
                    namespace=namespace.path,
                    caller=caller,
                    operation=operation,
                    status=reply.status,
                )
            )
        return reply

    def _caller(self, request: VaultRequest) -> str:
        if not request.token:
            return "none"
        token = self._state.tokens.find(request.token, self._clock())
        if token is None:
            return "wrapping" if request.token in self._state.wrappings else "unknown"
        return "root" if token.is_root else token.accessor or "batch"
