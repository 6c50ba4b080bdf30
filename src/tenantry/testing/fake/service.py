"""What each tenant of a fake registry is answered, and what it sent."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from tenantry.testing.openai.answers import Answer
from tenantry.testing.openai.endpoints import Call, Endpoints
from tenantry.testing.openai.exchange import TokenExchange
from tenantry.testing.openai.files import FileStore
from tenantry.testing.openai.keys import KeyRing, read_credential
from tenantry.testing.openai.recording import Headers, read_headers
from tenantry.testing.openai.refusals import refuse, refuse_key
from tenantry.testing.openai.routes import Route, Surface, find_route
from tenantry.testing.openai.server import DEFAULT_MODELS, DEFAULT_REPLY

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

ERRORS = range(400, 600)
# The SDK waits before it tries again, as long as this header says: tests need not.
_AT_ONCE = (b"retry-after-ms", b"1")

Fault: TypeAlias = "int | type[ConnectionError | TimeoutError]"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request as the transport hands it over: headers with lower-case names."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: list[tuple[bytes, bytes]] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def route(self) -> Route | None:
        return find_route(self.path)

    @property
    def surface(self) -> Surface:
        return Surface.OPENAI if self.route is None else self.route.surface


@dataclass(frozen=True, slots=True)
class SentRequest:
    """One request that a tenant's client sent, without its credentials.

    Attributes:
        tenant: whose client sent it.
        method: in capitals.
        path: the whole path, percent-encoded, without the query.
        status: what it was answered with; None where the connection failed.
        version: which version of the tenant's key it carried: `"1"`, after a rotation `"2"`.
        query: the last value of each name.
        headers: by name in any case.
        body: the whole body.
    """

    tenant: str
    method: str
    path: str
    status: int | None
    version: str
    query: Mapping[str, str] = field(repr=False)
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> Any:
        """Parse the body; `ValueError` where it is not JSON."""
        return json.loads(self.body)


@dataclass(slots=True)
class _Rule:
    """What happens to the next requests whose path ends like this."""

    fault: Fault
    left: int
    retry_after: float | None
    path: str

    def answer(self, surface: Surface) -> Answer:
        """Return the error.

        Raises:
            ConnectionError: or `TimeoutError`, where the service cannot be reached.
        """
        if not isinstance(self.fault, int):
            raise self.fault("ordered by the test")
        refused = refuse(self.fault, surface, retry_after=self.retry_after)
        return Answer(self.fault, refused.body, headers=(*refused.headers, _AT_ONCE))


class _Script:
    """What one tenant is answered."""

    def __init__(self, files: FileStore) -> None:
        self.files = files
        self.texts: deque[str] = deque([DEFAULT_REPLY])
        self.bodies: dict[str, Answer] = {}
        self.rules: list[_Rule] = []

    def text(self) -> str:
        """Return the next text; the last one is said for ever."""
        return self.texts.popleft() if len(self.texts) > 1 else self.texts[0]

    def rule(self, path: str) -> _Rule | None:
        rule = next((rule for rule in self.rules if path.endswith(rule.path)), None)
        if rule is not None:
            rule.left -= 1
            if not rule.left:
                self.rules.remove(rule)
        return rule


class FakeService:
    """An OpenAI and Azure OpenAI in memory, a script for each tenant; lives with the registry."""

    def __init__(self, lock: threading.RLock) -> None:
        self.keys = KeyRing(lock, accept_any=False)
        self._lock = lock
        self._scripts: dict[str, _Script] = {}
        self._sent: list[SentRequest] = []

    # -- what is answered -------------------------------------------------------------------------

    def say(self, tenant: str, texts: tuple[str, ...]) -> None:
        with self._lock:
            self._script(tenant).texts = deque(texts)

    def give(self, tenant: str, path: str, answer: Answer) -> None:
        with self._lock:
            self._script(tenant).bodies[_ending(path)] = answer

    def fail(
        self, tenant: str, fault: Fault, *, times: int, retry_after: float | None, path: str
    ) -> None:
        if isinstance(fault, int) and fault not in ERRORS:
            raise ValueError(f"fail_next() takes a status from 400 to 599, not {fault}")
        if times < 1:
            raise ValueError(f"fail_next() takes one time or more, not {times}")
        with self._lock:
            rule = _Rule(fault, times, retry_after, _ending(path) if path else "")
            self._script(tenant).rules.append(rule)

    # -- what was sent ----------------------------------------------------------------------------

    def sent(self, tenant: str | None) -> tuple[SentRequest, ...]:
        with self._lock:
            return tuple(each for each in self._sent if tenant in (None, each.tenant))

    def clear(self) -> None:
        with self._lock:
            self._sent.clear()

    # -- answering --------------------------------------------------------------------------------

    def answer(self, tenant: str, arrival: Arrival) -> Answer:
        """Answer a request and keep what was sent.

        Raises:
            ConnectionError: or `TimeoutError`, where the test ordered one.
        """
        with self._lock:
            try:
                answer = self._answer(tenant, arrival)
            except OSError:
                self._keep(tenant, arrival, None)
                raise
            self._keep(tenant, arrival, answer.status)
            return answer

    def _answer(self, tenant: str, arrival: Arrival) -> Answer:
        script = self._script(tenant)
        rule = script.rule(arrival.path)
        if rule is not None:
            return rule.answer(arrival.surface)
        presented = read_credential(arrival.headers)
        if not self.keys.standing(presented.key).valid:
            return refuse_key(arrival.surface, presented)
        given = (body for ending, body in script.bodies.items() if arrival.path.endswith(ending))
        return next(given, None) or self._built_in(tenant, script, arrival)

    def _built_in(self, tenant: str, script: _Script, arrival: Arrival) -> Answer:
        route = arrival.route
        if route is None:
            hint = f"no answer for {arrival.path}: say reply_json({tenant!r}, PATH, {{...}})"
            return refuse(404, message=hint)
        says_text = route.operation in _SAY_TEXT
        endpoints = Endpoints(
            reply=script.text() if says_text else "",
            models=DEFAULT_MODELS,
            files=script.files,
            exchange=TokenExchange(self._lock, self.keys, lifetime=3600.0),
        )
        content_type = dict(arrival.headers).get(b"content-type", b"").decode("latin-1")
        return endpoints.answer(Call(arrival.method, route, content_type, arrival.body))

    def _keep(self, tenant: str, arrival: Arrival, status: int | None) -> None:
        version = self.keys.standing(read_credential(arrival.headers).key).version or ""
        query = {name: text for name, text in arrival.query.items() if not self._is_key(text)}
        headers = [pair for pair in read_headers(arrival.headers) if not self._is_key(pair[1])]
        self._sent.append(
            SentRequest(
                tenant,
                arrival.method,
                arrival.path,
                status,
                version,
                query,
                Headers(tuple(headers)),
                arrival.body,
            )
        )

    def _is_key(self, text: str) -> bool:
        return self.keys.standing(text.removeprefix("Bearer ")).version is not None

    def _script(self, tenant: str) -> _Script:
        if tenant not in self._scripts:
            self._scripts[tenant] = _Script(FileStore(self._lock))
        return self._scripts[tenant]


_SAY_TEXT = frozenset({"chat/completions", "responses"})


def _ending(path: str) -> str:
    return "/" + path.strip("/")
