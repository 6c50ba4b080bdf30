"""The one place that every HTTP request of a tenant passes on its way out.

The SDK is given placeholders. Here they become the current secrets, a foreign credential or address
is refused, and a request that is answered 401 is sent once more where a better secret is found.
Written once as a generator; two short drivers run it, one sync and one async.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeAlias

from tenantry.clients import witness
from tenantry.clients.errors import in_request
from tenantry.clients.filling import fill, is_checked
from tenantry.clients.headers import Lines, unsendable
from tenantry.clients.http import httpx
from tenantry.clients.slots import ADMIN_API_KEY, API_KEY, Lot, Slots
from tenantry.clients.witness import EXTENSION, Witness
from tenantry.errors import CredentialUnavailableError, TenantBoundaryError, TenantryError
from tenantry.events import EventStream, RequestAnswered, RequestReplayed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterable

    from tenantry.clients.boundary import Boundary
    from tenantry.clients.slots import Slot, Stamped
    from tenantry.credential import Credential
    from tenantry.holding import Held
    from tenantry.secret import Secret

IN_FLIGHT = "tenantry"  # the extension of a request that tells the transport its token
ANSWERED = "tenantry"  # the extension of a response that says what its request went through
SUCCESS, REDIRECTS, UNAUTHORIZED = 200, 300, 401


_Step: TypeAlias = "Lot | httpx.Request"


class Gate(httpx.Auth):
    """The gate of one tenant's endpoint; shared by its clients and all their clones."""

    def __init__(
        self,
        tenant: str,
        slots: Iterable[Slot],
        events: EventStream,
        *,
        endpoint: str = "",
        webhook: Credential | None = None,
    ) -> None:
        self.tenant = tenant
        self._endpoint = endpoint
        self.boundary: Boundary | None = None  # known once the SDK has made its base URL
        self.shut: Callable[[], TenantryError] | None = None
        self.webhook = webhook
        # Tokens of requests that pass, and of open sockets; an empty dict is smaller than a set.
        self.in_flight: dict[object, None] = {}
        self.clock: Callable[[], float] = time.monotonic
        self.last_use = self.clock()
        self._events = events
        self.slots = Slots(slots)

    def check_open(self) -> None:
        """Raise what the gate was shut with, if it was."""
        if self.shut is not None:
            raise in_request(self.shut())

    def begin(self) -> object:
        """Let something through, if the gate is open; `end` is told what this returns.

        Raises:
            TenantryError: what the gate was shut with, as an `openai.OpenAIError`.
        """
        token = object()
        # Entered before the gate is looked at: who shuts it and then waits misses nobody.
        self.in_flight[token] = None
        shut = self.shut
        if shut is not None:
            self.end(token)
            raise in_request(shut())
        self.last_use = self.clock()
        return token

    def end(self, token: object) -> None:
        """Note that what began is over; ending twice is harmless."""
        self.in_flight.pop(token, None)

    def check_hop(self, request: httpx.Request) -> None:
        """Refuse a request that would leave the tenant's own address; called before every send.

        What was found right on its way through the gate is not looked at twice.

        Raises:
            TenantBoundaryError: as an `openai.OpenAIError`.
        """
        if not is_checked(request):
            self.check(request, Lines(request.headers))

    def check(self, request: httpx.Request, lines: Lines) -> None:
        """Refuse what would leave, or could not be read as it is meant.

        Raises:
            TenantBoundaryError: as an `openai.OpenAIError`.
        """
        boundary = self.boundary
        if boundary is None:
            return
        reason = (
            boundary.objection(request.url)
            or boundary.foreign_host(request.url, lines.values(b"host"))
            or unsendable(request, lines)
        )
        if reason:
            raise self.refusal(reason)

    def refusal(self, reason: str) -> TenantBoundaryError:
        error = TenantBoundaryError(self.tenant, boundary=str(self.boundary), reason=reason)
        return in_request(error)

    def ask(self) -> str:
        """Answer the SDK's callable token: make sure of the secret, and give its placeholder."""
        token = self.begin()  # who waits for a secret is in flight
        began = witness.clock() if self._events.requests_wanted else None
        try:
            self.slots.all[API_KEY].credential.get()
        except CredentialUnavailableError as error:
            raise in_request(error) from error.__cause__
        finally:
            self.end(token)
        if began is not None:
            witness.note_asked(began)
        return API_KEY

    async def aask(self) -> str:
        """Do what `ask` does, for async clients."""
        token = self.begin()
        began = witness.clock() if self._events.requests_wanted else None
        try:
            await self.slots.all[API_KEY].credential.aget()
        except CredentialUnavailableError as error:
            raise in_request(error) from error.__cause__
        finally:
            self.end(token)
        if began is not None:
            witness.note_asked(began)
        return API_KEY

    @property
    def has_key(self) -> bool:
        """Whether the tenant has a key of its own; one with an admin key alone has not."""
        return API_KEY in self.slots.all

    # -- drivers ----------------------------------------------------------------------------------

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        token = request.extensions[IN_FLIGHT] = self.begin()
        seen = self._witness(request) if self._events.requests_wanted else None
        flow = self._flow(request, seen)
        answer: Any = None
        try:
            while True:
                step = flow.send(answer)
                if not isinstance(step, Lot):
                    answer = yield step
                elif seen is None:
                    answer = step.answer()
                else:
                    answer = seen.timed(step.answer)
        except StopIteration:
            return
        except CredentialUnavailableError as error:
            raise in_request(error) from error.__cause__
        finally:
            self.end(token)

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        token = request.extensions[IN_FLIGHT] = self.begin()
        seen = self._witness(request) if self._events.requests_wanted else None
        flow = self._flow(request, seen)
        answer: Any = None
        try:
            while True:
                step = flow.send(answer)
                if not isinstance(step, Lot):
                    answer = yield step
                elif seen is None:
                    answer = await step.aanswer()
                else:
                    answer = await seen.atimed(step.aanswer)
        except StopIteration:
            return
        except CredentialUnavailableError as error:
            raise in_request(error) from error.__cause__
        finally:
            self.end(token)

    # -- the flow ---------------------------------------------------------------------------------

    def _witness(self, request: httpx.Request) -> Witness:
        """Return who notes what a request goes through, for those who want to hear of it."""
        request.extensions[EXTENSION] = seen = Witness()
        return seen

    def _flow(self, request: httpx.Request, seen: Witness | None) -> Generator[_Step, Any, None]:
        self._events.begin_request(self.tenant)
        lines = Lines(request.headers)
        self.check(request, lines)  # no secret is read for a request that would leave
        if self.webhook is not None:
            self.webhook.prefetch()
        lots, replayed = self.slots.lots(request, lines, self.refusal), False
        for lot in lots:
            lot.take((yield lot))
        fill(request, lots, in_query=self.slots.in_query)
        response: httpx.Response = yield request
        if response.status_code == UNAUTHORIZED and self._replayable(request, response):
            replayed = yield from self._filled_anew(lots)
            if replayed:
                response = yield request
        if SUCCESS <= response.status_code < REDIRECTS:
            for lot in lots:
                if lot.held is not None:
                    lot.credential.accepted(lot.held)
        if seen is not None:
            self._tell(response, seen, lots, replayed=replayed)

    def _tell(
        self, response: httpx.Response, seen: Witness, lots: list[Lot], *, replayed: bool
    ) -> None:
        place, secret = _sent(lots)
        event = RequestAnswered(
            self.tenant,
            endpoint=self._endpoint,
            status=response.status_code,
            source="" if place is None else place.slot.credential.reference,
            version="" if secret is None else secret.version,
            fingerprint="" if secret is None else secret.fingerprint,
            waited_for_credential=seen.waited_for_credential,
            waited_for_connection=seen.waited_for_connection,
            replayed=replayed,
        )
        response.extensions[ANSWERED] = event
        self._events.publish(event)

    def _filled_anew(self, lots: list[Lot]) -> Generator[_Step, Any, bool]:
        """Have better secrets sent with a refused request; return whether there are any."""
        found = False
        for lot in lots:
            used = lot.held
            better: Held | None = yield lot
            if better is not None and used is not None:
                lot.take(better)
                self._note_replay(lot.credential, better, used)
                found = True
        return found

    def _note_replay(self, credential: Credential, better: Held, used: Held) -> None:
        event = RequestReplayed(
            self.tenant,
            source=credential.reference,
            version=better.document.version,
            previous_version=used.document.version,
        )
        self._events.publish(event)

    def _replayable(self, request: httpx.Request, response: httpx.Response) -> bool:
        """Whether the same body can be sent to the same address again."""
        return response.request.url == request.url and _can_be_sent_again(request.stream)


def _sent(lots: list[Lot]) -> tuple[Stamped, Secret] | tuple[None, None]:
    """Return where a secret was sent, and which; the tenant's key before others."""
    found = [sent for lot in lots for sent in lot.filling]
    keys = (API_KEY, ADMIN_API_KEY)
    return min(found, key=lambda sent: sent[0].slot.placeholder not in keys, default=(None, None))


def _can_be_sent_again(stream: object) -> bool:
    if isinstance(stream, httpx.ByteStream):
        return True
    # A multipart body is read anew from its files, if these can be rewound. What has no fields is
    # the caller's own iterator: it was read once, and what it gave is gone.
    fields = getattr(stream, "fields", None)
    if fields is None:
        return False
    files = (getattr(field, "file", None) for field in fields)
    return all(_rewinds(file) for file in files if file is not None)


def _rewinds(file: object) -> bool:
    if isinstance(file, (str, bytes)):
        return True
    seekable = getattr(file, "seekable", None)
    return callable(seekable) and bool(seekable())
