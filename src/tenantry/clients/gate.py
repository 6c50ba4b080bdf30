"""The one place that every HTTP request of a tenant passes on its way out.

The SDK is given placeholders. Here they become the current secrets, a foreign credential or address
is refused, and a request that is answered 401 is sent once more where a better secret is found.
Written once as a generator; two short drivers run it, one sync and one async.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from tenantry.clients import query
from tenantry.clients.errors import in_request
from tenantry.clients.headers import unsendable
from tenantry.clients.http import httpx
from tenantry.errors import CredentialUnavailableError, TenantBoundaryError, TenantryError
from tenantry.events import EventStream, RequestReplayed
from tenantry.settings.tenant import CREDENTIAL_HEADERS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator, Mapping

    from tenantry.clients.boundary import Boundary
    from tenantry.credential import Credential
    from tenantry.holding import Held
    from tenantry.secret import Secret

# What the SDK is given where it wants a secret.
API_KEY = "tenantry:api_key"
ADMIN_API_KEY = "tenantry:admin_api_key"
WEBHOOK_SECRET = "tenantry:webhook_secret"  # noqa: S105  # a placeholder
HEADERS = "tenantry:default_headers."
QUERY = "tenantry:default_query."

IN_FLIGHT = "tenantry"  # the extension of a request that tells the transport its token
UNAUTHORIZED = 401
_KEYS = (API_KEY, ADMIN_API_KEY)
_BEARER = "Bearer "


@dataclass(frozen=True, slots=True)
class Slot:
    """One place of a request that carries a secret.

    Where the SDK put `placeholder`, the secret of `credential` goes. `api_key_header` sends it as
    `api-key`, which is Azure's header for keys, in place of `Authorization`.
    """

    placeholder: str
    credential: Credential
    api_key_header: bool = False


@dataclass(frozen=True, slots=True)
class _Stamped:
    """Where a secret was put: the header (or query parameter), and how it was written."""

    slot: Slot
    name: str
    bearer: bool
    in_query: bool


@dataclass(slots=True)
class _Lot:
    """The places of a request that one document fills, and what they are filled with.

    The generator yields it to its driver, to be given a document: at first one to send, and after
    a 401 another one.
    """

    places: list[_Stamped]
    held: Held | None = None

    @property
    def credential(self) -> Credential:
        return self.places[0].slot.credential

    def answer(self) -> Held | None:
        if self.held is None:
            return self.credential.take()
        return self.credential.replacement(self.read(self.held), self.read)

    async def aanswer(self) -> Held | None:
        if self.held is None:
            return await self.credential.atake()
        return await self.credential.areplacement(self.read(self.held), self.read)

    def read(self, held: Held) -> tuple[Secret, ...] | None:
        """Return the secrets of all places, or None where the document lacks one."""
        found = [place.slot.credential.readable(held) for place in self.places]
        secrets = tuple(secret for secret in found if secret is not None)
        return secrets if len(secrets) == len(found) else None

    def stamp(self, request: httpx.Request, held: Held) -> None:
        for place in self.places:
            _stamp(request, place, place.slot.credential.read(held))
        self.held = held


_Step: TypeAlias = "_Lot | httpx.Request"
_NO_HEADERS: dict[str, Mapping[str, Slot]] = {}
_NO_QUERY: dict[str, Mapping[str, Slot]] = {}


class Gate(httpx.Auth):
    """The gate of one tenant's endpoint; shared by its clients and all their clones."""

    def __init__(
        self,
        tenant: str,
        slots: Iterable[Slot],
        events: EventStream,
        *,
        webhook: Credential | None = None,
    ) -> None:
        self.tenant = tenant
        self.boundary: Boundary | None = None  # known once the SDK has made its base URL
        self.shut: Callable[[], TenantryError] | None = None
        self.webhook = webhook
        # Tokens of requests that pass, and of open sockets; an empty dict is smaller than a set.
        self.in_flight: dict[object, None] = {}
        self.clock: Callable[[], float] = time.monotonic
        self.last_use = self.clock()
        self._events = events
        self._slots = {slot.placeholder: slot for slot in slots}
        self._keys = {name: self._slots[name] for name in _KEYS if name in self._slots}
        # What most tenants do not have, these share.
        self._headers, self._query, self._to_look_at = _NO_HEADERS, _NO_QUERY, CREDENTIAL_HEADERS
        if len(self._keys) < len(self._slots):
            self._headers = _by_header(self._slots, self._keys)
            self._query = _by_parameter(self._slots)
            self._to_look_at = CREDENTIAL_HEADERS.union(self._headers)

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
        try:
            self.check_open()
        except TenantryError:
            self.in_flight.pop(token, None)
            raise
        self.last_use = self.clock()
        return token

    def end(self, token: object) -> None:
        """Note that what began is over; ending twice is harmless."""
        self.in_flight.pop(token, None)

    def check_hop(self, request: httpx.Request) -> None:
        """Refuse a request that would leave the tenant's own address; called before every send.

        Raises:
            TenantBoundaryError: as an `openai.OpenAIError`.
        """
        boundary = self.boundary
        if boundary is None:
            return
        reason = boundary.objection(request.url) or boundary.foreign_host(request)
        reason = reason or unsendable(request)
        if reason:
            raise self.refusal(reason)

    def refusal(self, reason: str) -> TenantBoundaryError:
        error = TenantBoundaryError(self.tenant, boundary=str(self.boundary), reason=reason)
        return in_request(error)

    def ask(self) -> str:
        """Answer the SDK's callable key: make sure of the secret, and give its placeholder.

        The SDK lets exceptions of its own callables pass unwrapped and untried again.
        """
        token = self.begin()  # who waits for a secret is in flight
        try:
            self._slots[API_KEY].credential.get()
        except CredentialUnavailableError as error:
            raise in_request(error) from error.__cause__
        finally:
            self.end(token)
        return API_KEY

    async def aask(self) -> str:
        """Do what `ask` does, for async clients."""
        token = self.begin()
        try:
            await self._slots[API_KEY].credential.aget()
        except CredentialUnavailableError as error:
            raise in_request(error) from error.__cause__
        finally:
            self.end(token)
        return API_KEY

    @property
    def has_key(self) -> bool:
        """Whether the tenant has a key of its own; one with an admin key alone has not."""
        return API_KEY in self._slots

    # -- drivers ----------------------------------------------------------------------------------

    def sync_auth_flow(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, None]:
        token = request.extensions[IN_FLIGHT] = self.begin()
        flow = self._flow(request)
        answer: Any = None
        try:
            while True:
                step = flow.send(answer)
                answer = step.answer() if isinstance(step, _Lot) else (yield step)
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
        flow = self._flow(request)
        answer: Any = None
        try:
            while True:
                step = flow.send(answer)
                answer = await step.aanswer() if isinstance(step, _Lot) else (yield step)
        except StopIteration:
            return
        except CredentialUnavailableError as error:
            raise in_request(error) from error.__cause__
        finally:
            self.end(token)

    # -- the flow ---------------------------------------------------------------------------------

    def _flow(self, request: httpx.Request) -> Generator[_Step, Any, None]:
        self.check_hop(request)
        if self.webhook is not None:
            self.webhook.prefetch()
        lots = _by_document(self._found(request))
        for lot in lots:
            lot.stamp(request, (yield lot))
        response: httpx.Response = yield request
        if response.status_code == UNAUTHORIZED and self._replayable(request, response):
            if not (yield from self._stamped_anew(request, lots)):
                return
            response = yield request
        if response.is_success:
            for lot in lots:
                if lot.held is not None:
                    lot.credential.accepted(lot.held)

    def _stamped_anew(
        self, request: httpx.Request, lots: list[_Lot]
    ) -> Generator[_Step, Any, bool]:
        """Put better secrets into a request that was refused; return whether there are any."""
        found = False
        for lot in lots:
            used = lot.held
            better: Held | None = yield lot
            if better is not None and used is not None:
                lot.stamp(request, better)
                self._note_replay(lot.credential, better, used)
                found = True
        return found

    def _note_replay(self, credential: Credential, better: Held, used: Held) -> None:
        if self._events.wanted:
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

    def _found(self, request: httpx.Request) -> list[_Stamped]:
        """Return the places that want a secret; a credential that is not ours is refused."""
        found: list[_Stamped] = []
        headers = request.headers
        for name in self._to_look_at:
            values = headers.get_list(name)
            if not values:
                continue
            value = values[0]
            bearer = value.startswith(_BEARER)
            slots = self._headers.get(name, self._keys)
            slot = _slot_for(value.removeprefix(_BEARER) if bearer else value, slots)
            if slot is not None and len(values) == 1:
                found.append(_Stamped(slot, name, bearer, in_query=False))
            elif name in CREDENTIAL_HEADERS:
                raise self.refusal(f"header {name} carries a credential that is not the tenant's")
        found += self._found_in_query(request)
        return found

    def _found_in_query(self, request: httpx.Request) -> Iterator[_Stamped]:
        for name, slots in self._query.items():
            slot = _slot_for(request.url.params.get(name, ""), slots)
            if slot is not None:  # else a clone, or the request, says something else there
                yield _Stamped(slot, name, bearer=False, in_query=True)


def _by_header(
    slots: Mapping[str, Slot], keys: Mapping[str, Slot]
) -> dict[str, Mapping[str, Slot]]:
    """Return which slots may fill a header that the configuration fills, by its small name.

    It has its own secret, and no other: whoever can say what stands in it must not have the
    tenant's key put there.
    """
    found: dict[str, Mapping[str, Slot]] = {}
    for placeholder, slot in slots.items():
        if placeholder.startswith(HEADERS):
            name = placeholder.removeprefix(HEADERS).casefold()
            others = found.get(name, keys if name in CREDENTIAL_HEADERS else {})
            found[name] = {**others, placeholder: slot}
    return found


def _by_parameter(slots: Mapping[str, Slot]) -> dict[str, Mapping[str, Slot]]:
    """Return which slot may fill a parameter of the query."""
    return {
        name.removeprefix(QUERY): {name: slot}
        for name, slot in slots.items()
        if name.startswith(QUERY)
    }


def _slot_for(value: str, slots: Mapping[str, Slot]) -> Slot | None:
    slot = slots.get(value)
    if slot is not None:
        return slot
    for other in slots.values():
        # A value that the credential issued itself: a request that is sent a second time.
        held = other.credential.peek()
        if held is not None and held.reveal() == value:
            return other
    return None


def _by_document(found: list[_Stamped]) -> list[_Lot]:
    """Group places by the document that fills them: its fields are sent together."""
    lots: dict[int, _Lot] = {}
    for stamped in found:
        lots.setdefault(id(stamped.slot.credential.keeper), _Lot([])).places.append(stamped)
    return list(lots.values())


def _stamp(request: httpx.Request, stamped: _Stamped, secret: Secret) -> None:
    if stamped.in_query:
        query.fill(request, stamped.name, stamped.slot.placeholder, secret)
        return
    value = secret.reveal()
    if stamped.slot.api_key_header:
        request.headers.pop("authorization", None)
        request.headers["api-key"] = value
    else:
        request.headers[stamped.name] = _BEARER + value if stamped.bearer else value


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
