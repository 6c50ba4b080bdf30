"""The places of a request that carry secrets: found by their placeholders, and filled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from tenantry.settings.tenant import CREDENTIAL_HEADERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from tenantry.clients.headers import Lines
    from tenantry.clients.http import httpx
    from tenantry.credential import Credential
    from tenantry.holding import Held
    from tenantry.secret import Secret

# What the SDK is given where it wants a secret.
API_KEY = "tenantry:api_key"
ADMIN_API_KEY = "tenantry:admin_api_key"
WEBHOOK_SECRET = "tenantry:webhook_secret"  # noqa: S105  # a placeholder
HEADERS = "tenantry:default_headers."
QUERY = "tenantry:default_query."

BEARER = "Bearer "
_KEYS = (API_KEY, ADMIN_API_KEY)
_USUAL = f"{BEARER}{API_KEY}".encode()
_TAKE_BEARER = ("authorization", "proxy-authorization")
_CREDENTIALS = tuple((name, name.encode()) for name in sorted(CREDENTIAL_HEADERS))


@dataclass(frozen=True, slots=True)
class Slot:
    """One place of a request that carries a secret.

    Where the SDK put `placeholder`, the secret of `credential` goes. `api_key_header` sends it as
    `api-key`, which is Azure's header for keys, in place of `Authorization`.
    """

    placeholder: str
    credential: Credential
    api_key_header: bool = False


class Stamped(NamedTuple):
    """Where a secret was put: the header (or query parameter), and how it was written."""

    slot: Slot
    name: str
    bearer: bool
    in_query: bool


class Lot:
    """The places of a request that one document fills, and what they are filled with.

    The generator yields it to its driver, to be given a document: at first one to send, and after
    a 401 another one.
    """

    __slots__ = ("credential", "filling", "held", "places")

    def __init__(self, places: Sequence[Stamped]) -> None:
        self.places = places
        self.credential = places[0].slot.credential
        self.held: Held | None = None
        self.filling: Sequence[tuple[Stamped, Secret]] = ()  # what is sent of `held`, and where

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

    def take(self, held: Held) -> None:
        """Have this document sent.

        Raises:
            CredentialUnavailableError: it lacks the secret of a place.
        """
        self.filling = [(place, place.slot.credential.read(held)) for place in self.places]
        self.held = held


class Slots:
    """What fills the places of one endpoint's requests; lives as long as its gate.

    `all` has them by their placeholders.
    """

    __slots__ = ("_headers", "_keys", "_query", "_to_look_at", "_usual", "all", "in_query")

    def __init__(self, slots: Iterable[Slot]) -> None:
        self.all = {slot.placeholder: slot for slot in slots}
        self._keys = {name: self.all[name] for name in _KEYS if name in self.all}
        # What most tenants do not have, these share.
        self._headers, self._query, self._to_look_at = _NO_HEADERS, _NO_QUERY, _CREDENTIALS
        # What most requests carry: those of tenants that have a key and no other secret.
        key = self.all.get(API_KEY) if len(self.all) == 1 else None
        usual = () if key is None else (Stamped(key, "authorization", bearer=True, in_query=False),)
        self._usual: tuple[Stamped, ...] = usual
        if len(self._keys) < len(self.all):
            self._headers = _by_header(self.all, self._keys)
            self._query = _by_parameter(self.all)
            others = self._headers.keys() - CREDENTIAL_HEADERS
            self._to_look_at = (*_CREDENTIALS, *((name, name.encode()) for name in others))
        self.in_query = bool(self._query)  # whether a query may carry any

    def lots(
        self, request: httpx.Request, lines: Lines, refusal: Callable[[str], Exception]
    ) -> list[Lot]:
        """Return the places that want a secret, by the document that fills them.

        Raises:
            Exception: what `refusal` makes of the reason: a credential is not ours.
        """
        if self._usual and lines.authorization == _USUAL:
            return [Lot(self._usual)]
        places: dict[int, list[Stamped]] = {}
        for stamped in self._found(request, lines, refusal):
            # Fields of one document are sent together.
            places.setdefault(id(stamped.slot.credential.keeper), []).append(stamped)
        return list(map(Lot, places.values()))

    def _found(
        self, request: httpx.Request, lines: Lines, refusal: Callable[[str], Exception]
    ) -> list[Stamped]:
        found: list[Stamped] = []
        for name, written in self._to_look_at:
            values = lines.values(written)
            if not values:
                continue
            place = self._in_header(request, name, values[0].decode("latin-1"))
            if place is not None and len(values) == 1:
                found.append(place)
            elif name in CREDENTIAL_HEADERS:
                raise refusal(f"header {name} carries a credential that is not the tenant's")
        if self._query:
            found += self._in_query(request)
        return found

    def _in_header(self, request: httpx.Request, name: str, said: str) -> Stamped | None:
        bearer = name in _TAKE_BEARER and said.startswith(BEARER)
        if bearer:
            said = said.removeprefix(BEARER)
        slot = _slot_for(said, self._headers.get(name, self._keys))
        if slot is None:
            return None
        if said != slot.placeholder:
            request.headers[name] = f"{BEARER if bearer else ''}{slot.placeholder}"
        return Stamped(slot, name, bearer, in_query=False)

    def _in_query(self, request: httpx.Request) -> Iterator[Stamped]:
        for name, slots in self._query.items():
            said = request.url.params.get(name, "")
            slot = _slot_for(said, slots)
            if slot is None:
                continue  # a clone, or the request, says something else there
            if said != slot.placeholder:
                request.url = request.url.copy_set_param(name, slot.placeholder)
            yield Stamped(slot, name, bearer=False, in_query=True)


_NO_HEADERS: dict[str, Mapping[str, Slot]] = {}
_NO_QUERY: dict[str, Mapping[str, Slot]] = {}


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
