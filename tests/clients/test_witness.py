"""What a request went through is told to who asks, and costs nobody else anything."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import openai
import pytest
from pydantic import SecretStr

from tenantry.clients import witness
from tenantry.events import Event, EventStream, RequestAnswered

if TYPE_CHECKING:
    from tests.clients.conftest import Acme

    from tenantry import ClientRegistry

LIMIT = 10.0


class Heard:
    """What a subscriber to requests hears."""

    def __init__(self, registry: ClientRegistry) -> None:
        self._events: list[RequestAnswered] = []
        self._any = threading.Condition()
        self.stop = registry.subscribe(self._note, requests=True)

    def _note(self, event: Event) -> None:
        if isinstance(event, RequestAnswered):
            with self._any:
                self._events.append(event)
                self._any.notify()

    def wait(self, count: int) -> list[RequestAnswered]:
        with self._any:
            assert self._any.wait_for(lambda: len(self._events) >= count, LIMIT)
            return list(self._events)


async def test_an_answer_says_whose_key_was_sent(acme: Acme) -> None:
    """Tenant, reference, version and fingerprint are those that `status` shows."""
    registry = acme.registry()
    heard = Heard(registry)
    await acme.chat(acme.of(registry))
    (event,) = heard.wait(1)
    (credential,) = registry.status("acme").credentials
    assert ("acme", "", 200, False) == (event.tenant, event.endpoint, event.status, event.replayed)
    said = (credential.reference, credential.version, credential.fingerprint)
    assert said == (event.source, event.version, event.fingerprint)
    assert acme.key not in repr(event)


async def test_a_replay_is_said(acme: Acme) -> None:
    """What was answered 401 and sent again is one answer, with the version that was accepted."""
    keys = [acme.key]
    registry = acme.registry(api_key=lambda: keys[-1])
    client = acme.of(registry)
    await acme.chat(client)
    heard = Heard(registry)
    acme.server.revoke(acme.key)
    acme.server.allow(acme.newer_key)
    keys.append(acme.newer_key)
    await acme.chat(client)
    (event,) = heard.wait(1)
    assert (200, True) == (event.status, event.replayed)
    (credential,) = registry.status("acme").credentials
    assert credential.fingerprint == event.fingerprint


async def test_refusals_are_answers_too(acme: Acme) -> None:
    """Each attempt that is answered is told, whatever the answer."""
    registry = acme.registry(max_retries=0)
    heard = Heard(registry)
    acme.server.fail_next(429)
    with pytest.raises(openai.RateLimitError):
        await acme.chat(acme.of(registry))
    assert [429] == [event.status for event in heard.wait(1)]


async def test_waits_are_told(acme: Acme) -> None:
    """Seconds until there was a credential, and a connection: a first request waits for both."""

    def slow() -> str:
        time.sleep(0.05)
        return acme.key

    registry = acme.registry(api_key=slow)
    heard = Heard(registry)
    client = acme.of(registry)
    await acme.chat(client)
    await acme.chat(client)
    first, second = heard.wait(2)
    assert first.waited_for_credential >= 0.05 > second.waited_for_credential
    assert first.waited_for_connection is not None
    assert second.waited_for_connection is not None
    assert first.waited_for_connection > 0 <= second.waited_for_connection


async def test_a_response_has_what_was_told(acme: Acme) -> None:
    """Who takes the raw response reads the same there, without a hook."""
    registry = acme.registry()
    heard = Heard(registry)
    client = acme.of(registry)
    said: Any = {"model": acme.model, "messages": [{"role": "user", "content": "hi"}]}
    raw: Any = client.chat.completions.with_raw_response
    response = await acme.settle(raw.create(**said))
    assert heard.wait(1) == [response.http_response.extensions["tenantry"]]


async def test_secrets_of_headers_are_told_where_there_is_no_key(acme: Acme) -> None:
    """The tenant's key is what counts; without one, the first secret that was sent."""
    registry = acme.registry(default_headers={"X-Gateway": SecretStr("gateway-0123456789")})
    heard = Heard(registry)
    await acme.chat(acme.of(registry))
    (event,) = heard.wait(1)
    found = {each.setting: each.fingerprint for each in registry.status("acme").credentials}
    key = next(value for setting, value in found.items() if "X-Gateway" not in setting)
    assert key == event.fingerprint


async def test_who_asked_for_nothing_costs_nothing(
    acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a subscriber to requests: no event, no note of waits and no look at its clock."""
    looks: list[float] = []

    def counting() -> float:
        looks.append(time.perf_counter())
        return looks[-1]

    published: list[Event] = []
    publish = EventStream.publish

    def noting(self: EventStream, event: Event) -> None:
        published.append(event)
        publish(self, event)

    monkeypatch.setattr(witness, "clock", counting)
    monkeypatch.setattr(EventStream, "publish", noting)
    registry = acme.registry()
    client = acme.of(registry)
    await acme.chat(client)
    published.clear()
    response_of: Any = client.models.with_raw_response
    response = await acme.settle(response_of.list())
    assert ([], [], False) == (looks, published, "tenantry" in response.http_response.extensions)
    heard = Heard(registry)
    await acme.chat(client)
    heard.wait(1)
    assert (True, 1) == (bool(looks), len(published))
    heard.stop()
    looks.clear()
    await acme.chat(client)
    assert ([], 1) == (looks, len(published))
