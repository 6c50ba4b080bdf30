"""Whatever the environment says, each byte that a tenant's clients send is the same."""

from __future__ import annotations

import inspect
import re
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import openai

from tenantry.clients.http import httpx

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    import pytest
    from tests.clients.conftest import Kind
    from tests.clients.wire.conftest import Acme, Client, Message, Poison, Tap

CHAT: dict[str, Any] = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
ENVIRON = {"ACME_KEY": "sk-acme-1"}
CREDENTIAL = re.compile(rb"sk-acme-\d+")

# -- what is asked, by every client and clone -----------------------------------------------------


async def settle(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


async def create(client: Client) -> None:
    await settle(client.chat.completions.create(**CHAT))


async def stream(client: Client) -> None:
    events: Any = await settle(client.chat.completions.create(**CHAT, stream=True))
    seen = [each async for each in events] if hasattr(events, "__aiter__") else list(events)
    assert 1 == len(seen)


async def raw(client: Client) -> None:
    await settle(client.chat.completions.with_raw_response.create(**CHAT))


async def streaming_response(client: Client) -> None:
    manager: Any = client.chat.completions.with_streaming_response.create(**CHAT)
    async with AsyncExitStack() as stack:
        if hasattr(manager, "__aenter__"):
            await (await stack.enter_async_context(manager)).read()
        else:
            stack.enter_context(manager).read()


async def multipart(client: Client) -> None:
    await settle(client.files.create(file=("a.jsonl", b"{}\n"), purpose="batch"))


async def models(client: Client) -> None:
    listed: Any = client.models.list()
    await settle(listed)


ASKED: tuple[Callable[[Client], Awaitable[None]], ...] = (
    *(create, stream, raw, streaming_response, multipart, models),
)


def clones(client: Client) -> Iterator[Client]:
    """Return the client, and clones three deep, made both ways."""
    yield client
    first = client.with_options(timeout=5, default_headers={"X-One": "1"})
    yield first
    second = first.copy(max_retries=1, organization="org-clone", default_query={"two": "2"})
    yield second
    yield second.with_options(project="proj-clone", set_default_headers={"X-Three": "3"})


async def sent(
    acme: Acme,
    said: Mapping[str, Any],
    environ: Mapping[str, str] | None,
    poison: Callable[[], None] | None = None,
) -> list[Message]:
    """Ask everything, before and after a rotation, and return what came.

    What each run draws anew is left out, which is the text between the parts of a form.
    """
    registry = acme.registry(said, environ)
    acme.tap.taken()
    client = acme.of(registry)
    if poison is not None:
        poison()
    for each in clones(client):
        for ask in ASKED:
            await ask(each)
        await registry.arefresh("acme")
    return [message.without_boundary() for message in acme.tap.taken()]


# -- what tenants say -----------------------------------------------------------------------------

ROTATING = "rotating"  # stands for a function that says another key each time
OPENAI: dict[str, dict[str, Any]] = {
    "env": {"api_key": {"env": "ACME_KEY"}},
    "literal": {"api_key": {"literal": "sk-acme-1"}},
    "rotating": {"api_key": ROTATING},
    "all else": {
        "api_key": ROTATING,
        "organization": "org-acme",
        "project": "proj-acme",
        "default_headers": {"X-Team": "blue", "X-Gateway-Key": {"env": "ACME_KEY"}},
        "default_query": {"team": "blue", "signature": {"env": "ACME_KEY"}},
    },
}
AZURE: dict[str, dict[str, Any]] = {
    **OPENAI,
    "token": {"azure_ad_token": {"env": "ACME_KEY"}},
    "rotating token": {"azure_ad_token_provider": ROTATING},
}


def configured(said: dict[str, Any], acme: Acme) -> dict[str, Any]:
    return {key: acme.rotating() if value == ROTATING else value for key, value in said.items()}


def variants(kind: Kind) -> Iterator[dict[str, Any]]:
    """Return all that tenants of a kind may say of their credential and address."""
    for said in (AZURE if kind.is_azure else OPENAI).values():
        yield said
        if kind.is_azure:
            yield {**said, "azure_deployment": "gpt-4o-acme"}
    if kind.is_async:
        yield {**OPENAI["rotating"], "http": "httpx"}


# -- what came ------------------------------------------------------------------------------------


async def test_every_byte_is_that_of_a_clean_environment(tapped: Acme, poison: Poison) -> None:
    """Request lines, headers in their order, and bodies are the same under every variable.

    The environment is the process's own, or a mapping that was passed in its place.
    """
    clean = [
        await sent(tapped, configured(said, tapped), ENVIRON) for said in variants(tapped.kind)
    ]
    poison.spread()
    apart = [
        await sent(tapped, configured(said, tapped), ENVIRON) for said in variants(tapped.kind)
    ]
    for said, before, after in zip(variants(tapped.kind), clean, apart, strict=True):
        assert before == after, said


async def test_a_registry_that_reads_the_poisoned_environment(
    tapped: Acme, poison: Poison, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A registry on `os.environ` takes what references name from it, and nothing else."""
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    clean = [await sent(tapped, configured(said, tapped), None) for said in variants(tapped.kind)]
    poison.spread()
    for said, before in zip(variants(tapped.kind), clean, strict=True):
        assert before == await sent(tapped, configured(said, tapped), None), said


async def test_an_environment_that_turns_after_a_client_was_built(
    tapped: Acme, poison: Poison
) -> None:
    """Clones read the environment again: those of a clean client stay clean."""
    said = OPENAI["all else"]
    clean = await sent(tapped, configured(said, tapped), ENVIRON)
    assert clean == await sent(tapped, configured(said, tapped), ENVIRON, poison.spread)


async def test_what_is_sent_is_the_tenants(tapped: Acme, poison: Poison) -> None:
    """Each request has one credential, the current one, in the one place where its kind has it."""
    poison.spread()
    messages = await sent(tapped, {"api_key": tapped.rotating()}, {})
    assert len(ASKED) * len(list(clones_of(messages))) == len(messages)
    for number, group in enumerate(clones_of(messages), 1):
        for message in group:
            name = b"api-key" if tapped.kind.is_azure else b"authorization"
            key = b"sk-acme-%d" % number
            assert [key if tapped.kind.is_azure else b"Bearer " + key] == message.named(name)
            assert [key] == CREDENTIAL.findall(message.head + message.body)
            assert poison.mark.encode() not in message.head + message.body
            assert message.target.startswith(b"/t-acme/")
            assert not message.named(b"cookie")


def clones_of(messages: list[Message]) -> Iterator[list[Message]]:
    for first in range(0, len(messages), len(ASKED)):
        yield messages[first : first + len(ASKED)]


# -- against the SDK's own ------------------------------------------------------------------------


def bare(kind: Kind, tap: Tap) -> Client:
    """Make the SDK's own client, as the tenant would be without us."""
    sync, async_ = openai.DefaultHttpxClient, openai.DefaultAsyncHttpxClient
    said: dict[str, Any] = {
        "http_client": (async_ if kind.is_async else sync)(trust_env=False, verify=False),
        "api_key": "sk-acme-1",
        "max_retries": 0,
    }
    if kind.is_azure:
        said |= {"azure_endpoint": f"{tap.url}/t-acme", "api_version": "2024-10-21"}
    else:
        said |= {"base_url": f"{tap.url}/t-acme/v1"}
    client: Client = kind.sdk(**said)
    return client


async def test_the_sdks_own_client_sends_the_same(tapped: Acme, poison: Poison) -> None:
    """Request line, headers and body are those of a plain client with the same key.

    But for how a header's name is spelled, and cookies, which a plain client returns.
    """
    registry = tapped.registry({"api_key": {"literal": "sk-acme-1"}, "http": "httpx"}, {})
    plain = bare(tapped.kind, tapped.tap)
    came = []
    for client in (tapped.of(registry), plain):
        for ask in ASKED:
            await ask(client)
        came.append([comparable(message, tapped) for message in tapped.tap.taken()])
    await settle(plain.close())
    assert came[0] == came[1]


def comparable(message: Message, acme: Acme) -> tuple[bytes, list[tuple[bytes, bytes]], bytes]:
    """Return the request line, the headers and the body without what is known to differ."""
    message = message.without_boundary()
    said = [pair for pair in message.headers if pair[0] != b"cookie"]
    if acme.kind.is_azure:  # the key comes last, and with openai 2 in `Authorization`, too
        said = sorted(pair for pair in said if pair[0] != b"authorization")
    return message.lines[0], said, message.body


def test_the_poison_works(tap: Tap, poison: Poison) -> None:
    """A plain client under the same environment sends what the environment says."""
    poison.spread()
    http = httpx.Client(trust_env=False, verify=False)
    with openai.OpenAI(base_url=tap.url, max_retries=0, http_client=http) as plain:
        plain.models.list()
    [message] = tap.taken()
    assert poison.mark.encode() in message.head
