"""`OpenAIServer`: keys, misbehaviour and records of an embedded OpenAI, from the test's side."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tenantry.testing.openai.application import Application
from tenantry.testing.openai.controls import Controls, Interruption
from tenantry.testing.openai.endpoints import Endpoints
from tenantry.testing.openai.exchange import TokenExchange
from tenantry.testing.openai.files import FileStore
from tenantry.testing.openai.keys import KeyRing
from tenantry.testing.openai.recording import Recorder
from tenantry.testing.openai.websockets import Conversations
from tenantry.testing.serving import LoopbackServer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp

    from tenantry.testing.certificates import ServerCertificate
    from tenantry.testing.openai.recording import RecordedRequest

DEFAULT_REPLY = "Hello from tenantry."
DEFAULT_MODELS = ("gpt-4o-mini", "text-embedding-3-small")
ERRORS = range(400, 600)
REDIRECTS = range(300, 400)


class OpenAIServer(LoopbackServer):
    """OpenAI and Azure OpenAI on one loopback port, for real SDK clients.

    Every path also answers below any prefix, as behind a gateway. All methods may be called from
    any thread, before, between and after starts; they act from the next request.

    Example:
        with OpenAIServer(keys=["sk-acme"]) as server:
            client = OpenAI(base_url=server.base_url, api_key="sk-acme")
    """

    name: ClassVar[str] = "openai-server"
    speaks_websocket: ClassVar[bool] = True

    def __init__(  # noqa: PLR0913 (keywords only, each with a default)
        self,
        *,
        keys: Iterable[str] = (),
        accept_any: bool = False,
        reply: str = DEFAULT_REPLY,
        models: Iterable[str] = DEFAULT_MODELS,
        token_lifetime: float = 3600.0,
        record: bool = True,
        max_recorded: int = 100_000,
        port: int = 0,
        certificate: ServerCertificate | None = None,
    ) -> None:
        """Prepare a server; `start` or `with` makes it listen.

        Args:
            keys: Credentials that are valid from the start, as bearer or `api-key`.
            accept_any: Whether a key that nobody allowed or revoked is valid.
            reply: The text of every chat completion and response.
            models: What the models endpoint lists; any model is served.
            token_lifetime: Seconds that exchanged access tokens stay valid.
            record: Whether to keep requests; off for benchmarks.
            max_recorded: How many requests are kept, the oldest dropped first.
            port: The loopback port, 0 for a free one.
            certificate: Serves https with it.
        """
        super().__init__(port=port, certificate=certificate)
        self._keys = KeyRing(self.lock, accept_any=accept_any)
        self._controls = Controls(self.lock)
        self._recorder = Recorder(self.lock, enabled=record, max_recorded=max_recorded)
        self._exchange = TokenExchange(self.lock, self._keys, lifetime=token_lifetime)
        self._endpoints = Endpoints(
            reply=reply,
            models=tuple(models),
            files=FileStore(self.lock),
            exchange=self._exchange,
        )
        self._conversations = Conversations(self.lock, reply=reply)
        for key in keys:
            self.allow(key)

    def application(self) -> ASGIApp:
        """Return the ASGI application; all state stays with the server."""
        return Application(
            keys=self._keys,
            controls=self._controls,
            recorder=self._recorder,
            endpoints=self._endpoints,
            conversations=self._conversations,
        )

    # -- where it is -----------------------------------------------------------------------------

    @property
    def base_url(self) -> str:
        """What `OpenAI(base_url=...)` takes."""
        return f"{self.url}/v1"

    @property
    def websocket_base_url(self) -> str:
        """What `OpenAI(websocket_base_url=...)` takes."""
        return f"ws{self.base_url.removeprefix('http')}"

    @property
    def azure_endpoint(self) -> str:
        """What `AzureOpenAI(azure_endpoint=...)` takes."""
        return self.url

    @property
    def token_exchange_url(self) -> str:
        """What `WorkloadIdentityAuth(token_exchange_url=...)` takes."""
        return f"{self.url}/oauth/token"

    # -- keys ------------------------------------------------------------------------------------

    def allow(self, key: str, *, tenant: str | None = None, version: str | None = None) -> None:
        """Make a key valid, labelled or not; again after a revocation, too.

        Raises:
            ValueError: The key is empty, or has blanks around it.
        """
        self._keys.allow(key, tenant=tenant, version=version)

    def revoke(self, key: str) -> None:
        """Answer 401 to a key from now on; its labels still show in records."""
        self._keys.revoke(key)

    @property
    def exchanges(self) -> int:
        """How many access tokens were issued at `/oauth/token`."""
        with self.lock:
            return self._exchange.count

    @property
    def token_lifetime(self) -> float:
        """Seconds that access tokens stay valid; setting it affects tokens to come."""
        with self.lock:
            return self._exchange.lifetime

    @token_lifetime.setter
    def token_lifetime(self, seconds: float) -> None:
        with self.lock:
            self._exchange.lifetime = seconds

    # -- misbehaviour ----------------------------------------------------------------------------

    def fail_next(
        self,
        status: int,
        *,
        times: int | None = 1,
        retry_after: float | None = None,
        key: str | None = None,
        path: str | None = None,
    ) -> None:
        """Answer coming requests with an error; calls add up, and the first one that fits is used.

        Args:
            status: From 400 to 599.
            times: How many requests, None until `reset`.
            retry_after: Seconds, sent as Retry-After.
            key: Only requests that present this key.
            path: Only requests whose path ends like this.

        Raises:
            ValueError: The status is not an error.
        """
        _require(status in ERRORS, f"fail_next() takes a status from 400 to 599, not {status}")
        self._controls.interrupt(Interruption(status, retry_after), times=times, key=key, path=path)

    def redirect_next(self, location: str, *, status: int = 307, times: int | None = 1) -> None:
        """Answer coming requests with a redirect to `location`, absolute or not.

        Raises:
            ValueError: The status is not a redirect.
        """
        _require(status in REDIRECTS, f"redirect_next() takes a status of 3xx, not {status}")
        interruption = Interruption(status, location=location)
        self._controls.interrupt(interruption, times=times, key=None, path=None)

    def slow(self, seconds: float, *, times: int | None = None) -> None:
        """Hold coming requests before they are answered; 0 ends it."""
        self._controls.slow(seconds, times=times)

    def cut_stream(self, *, after_events: int, times: int | None = 1) -> None:
        """Drop the connection of coming streams after so many events, if they have more.

        A WebSocket is a stream too.

        Raises:
            ValueError: The number is negative.
        """
        _require(after_events >= 0, f"cut_stream() takes no negative number: {after_events}")
        self._controls.cut(after_events, times=times)

    def drop_websockets(self, code: int | None = None) -> None:
        """End all open WebSockets: without a word, or with a close frame of that code."""
        self._conversations.drop(code)

    def stream_pace(self, seconds_per_event: float) -> None:
        """Wait before each event of coming streams; 0 ends it."""
        self._controls.pace(seconds_per_event)

    def reset(self) -> None:
        """End all misbehaviour; keys, files and records stay."""
        self._controls.reset()

    # -- records ---------------------------------------------------------------------------------

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """The answered requests that are kept, in order of arrival."""
        return self._recorder.requests

    def count(
        self,
        *,
        key: str | None = None,
        tenant: str | None = None,
        status: int | None = None,
        method: str | None = None,
        path: str | None = None,
    ) -> int:
        """Count the kept requests that fit everything given; `path` is how a path ends."""
        wanted = {"key": key, "tenant": tenant, "status": status, "method": method}
        given = {name: value for name, value in wanted.items() if value is not None}
        return sum(
            request.path.endswith(path or "")
            and all(getattr(request, name) == value for name, value in given.items())
            for request in self.requests
        )

    def clear(self) -> None:
        """Forget requests and connections; numbering goes on."""
        self._recorder.clear()

    @property
    def dropped(self) -> int:
        """How many requests were forgotten because `max_recorded` was reached."""
        return self._recorder.dropped

    @property
    def in_flight(self) -> int:
        """How many requests are being answered now."""
        return self._recorder.in_flight

    @property
    def websockets(self) -> int:
        """How many WebSockets are open."""
        return self._conversations.count

    @property
    def connections(self) -> int:
        """How many client ports were seen since the start or `clear`, recording or not."""
        return self._recorder.connections


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
