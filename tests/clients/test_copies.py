"""What `copy` and `with_options` return, and how responses are read: as with the SDK's clients."""

from __future__ import annotations

import copy
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import openai
import pytest
from openai.types.chat import ChatCompletion

from tenantry.clients.http import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from tests.clients.conftest import Acme, Client

HEADERS = {"X-Team": "blue", "X-Gateway-Key": {"env": "GATEWAY"}}
QUERY = {"team": "blue", "signature": {"env": "SIGNATURE"}}
ENVIRON = {"GATEWAY": "gateway-secret", "SIGNATURE": "signature-secret"}


def equipped(acme: Acme) -> Client:
    return acme.client(default_headers=HEADERS, default_query=QUERY, environ=ENVIRON)


async def test_options_are_the_clones_alone(acme: Acme) -> None:
    """A clone has its time limits and retries; the client that it came from keeps its own."""
    client = acme.client(timeout=7, max_retries=1)
    clone = client.with_options(timeout=1.5, max_retries=0)
    assert (1.5, 0) == (clone.timeout, clone.max_retries)
    assert (httpx.Timeout(7.0), 1) == (client.timeout, client.max_retries)
    assert client.with_options(timeout=None).timeout is None


async def test_organization_and_project_of_a_clone(acme: Acme) -> None:
    """A clone sends its own organization and project, and inherits what it does not say."""
    client = acme.client(organization="org-acme", project="proj-acme")
    clone = client.with_options(organization="org-other").with_options(project="proj-other")
    request = await acme.sent(clone)
    assert ("org-other", "proj-other") == (
        request.header["openai-organization"],
        request.header["openai-project"],
    )
    assert "org-acme" == (await acme.sent(client)).header["openai-organization"]


async def test_default_headers_are_merged(acme: Acme) -> None:
    """`default_headers` of a clone join the tenant's, secret ones included."""
    request = await acme.sent(equipped(acme).with_options(default_headers={"X-More": "yes"}))
    said = [request.header[name] for name in ("x-team", "x-gateway-key", "x-more")]
    assert ["blue", "gateway-secret", "yes"] == said


async def test_set_default_headers_replace(acme: Acme) -> None:
    """`set_default_headers` of a clone stand in place of the tenant's; the key stays."""
    request = await acme.sent(equipped(acme).with_options(set_default_headers={"X-More": "yes"}))
    assert "yes" == request.header["x-more"]
    assert not {"x-team", "x-gateway-key"} & request.header.keys()
    assert acme.key == acme.credential_of(request)


async def test_a_clone_may_say_another_header(acme: Acme) -> None:
    """A plain header of a clone takes the place of a secret one that is no credential."""
    clone = equipped(acme).with_options(default_headers={"X-Gateway-Key": "other"})
    assert "other" == (await acme.sent(clone)).header["x-gateway-key"]


async def test_default_query_is_merged(acme: Acme) -> None:
    """`default_query` of a clone joins the tenant's, secret parameters included."""
    request = await acme.sent(equipped(acme).with_options(default_query={"more": "yes"}))
    said = [request.query[name] for name in ("team", "signature", "more")]
    assert [["blue"], ["signature-secret"], ["yes"]] == said


async def test_set_default_query_replaces(acme: Acme) -> None:
    """`set_default_query` of a clone stands in place of the tenant's, secret parameters too."""
    kept = {"api-version": acme.api_version} if acme.kind.is_azure else {}
    clone = equipped(acme).with_options(set_default_query={"more": "yes", **kept})
    assert {"more", *kept} == set((await acme.sent(clone)).query)


async def test_a_clone_may_say_another_parameter(acme: Acme) -> None:
    """A plain parameter of a clone takes the place of a secret one."""
    clone = equipped(acme).with_options(default_query={"signature": "other"})
    assert ["other"] == (await acme.sent(clone)).query["signature"]


async def test_clones_of_clones(acme: Acme) -> None:
    """Three deep, a clone sends what its ancestors said, and the tenant's key."""
    third = (
        equipped(acme)
        .with_options(default_headers={"X-One": "1"})
        .copy(organization="org-two")
        .with_options(default_query={"three": "3"})
    )
    request = await acme.sent(third)
    assert ("1", "org-two", ["3"], "gateway-secret", acme.key) == (
        request.header["x-one"],
        request.header["openai-organization"],
        request.query["three"],
        request.header["x-gateway-key"],
        acme.credential_of(request),
    )


async def test_the_registry_hands_out_clones(acme: Acme) -> None:
    """Options of `client()` make a `with_options` clone on the same sockets."""
    registry = acme.registry()
    client = acme.of(registry)
    clone = acme.of(
        registry, timeout=2, max_retries=0, default_headers={"X-One": "1"}, project="proj-one"
    )
    await acme.chat(client)
    request = await acme.sent(clone)
    assert (2, 0, "1", "proj-one") == (
        clone.timeout,
        clone.max_retries,
        request.header["x-one"],
        request.header["openai-project"],
    )
    assert 1 == acme.server.connections


def test_a_copy_is_of_the_same_class(acme: Acme) -> None:
    """Clients and clones are instances of the SDK's class, and of the sealed one alike."""
    client = acme.client()
    clone = client.with_options(timeout=1)
    assert isinstance(client, acme.kind.sdk)
    assert type(client) is type(clone)


def test_a_deep_copy_is_the_client_itself(acme: Acme) -> None:
    """Containers that copy what they hold go on sharing the client."""
    client = acme.client()
    assert client is copy.deepcopy({"client": client})["client"]


# -- beside the SDK's own client ------------------------------------------------------------------

BEGUN: dict[str, Any] = {
    "timeout": 7.0,
    "max_retries": 1,
    "organization": "org-acme",
    "project": "proj-acme",
    "default_headers": {"X-Team": "blue", "X-Tier": "gold"},
    "default_query": {"team": "blue", "tier": "gold"},
}
NO_TIER = {"X-Tier": openai.Omit()}
CHAINS: dict[str, tuple[dict[str, Any], ...]] = {
    "nothing": ({},),
    "timeout": ({"timeout": 1.5},),
    "timeout in parts": ({"timeout": httpx.Timeout(3.0, connect=1.0)},),
    "no timeout": ({"timeout": None},),
    "timeout inherited": ({"timeout": 1.5}, {"max_retries": 0}),
    "max_retries": ({"max_retries": 0},),
    "max_retries inherited": ({"max_retries": 5}, {"timeout": 3}),
    "organization": ({"organization": "org-other"},),
    "organization, inherited": ({"organization": "org-other"}, {"project": "proj-other"}),
    "empty organization": ({"organization": ""},),
    "project": ({"project": "proj-other"},),
    "headers merged": ({"default_headers": {"X-More": "yes"}},),
    "header replaced": ({"default_headers": {"X-Team": "red"}},),
    "header left out": ({"default_headers": NO_TIER},),
    "header in other case": ({"default_headers": {"x-team": "red"}},),
    "header of the SDK": ({"default_headers": {"X-Stainless-Lang": "mine"}},),
    "no headers": ({"set_default_headers": {}},),
    "headers set": ({"set_default_headers": {"X-Only": "yes"}},),
    "headers set, then merged": (
        {"set_default_headers": {"X-Only": "yes"}},
        {"default_headers": {"X-More": "yes"}},
    ),
    "query merged": ({"default_query": {"more": "yes", "numbers": [1, 2]}},),
    "parameter replaced": ({"default_query": {"team": "red"}},),
    "no query": ({"set_default_query": {}},),
    "query set": ({"set_default_query": {"only": "yes"}},),
    "query set, then merged": (
        {"set_default_query": {"only": "yes"}},
        {"default_query": {"more": "yes"}},
    ),
    "strict": ({"_extra_kwargs": {"_strict_response_validation": True}},),
    "all at once": (
        {
            "timeout": 2,
            "max_retries": 3,
            "organization": "org-other",
            "project": "proj-other",
            "default_headers": {"X-More": "yes"},
            "default_query": {"more": "yes"},
        },
    ),
}


@pytest.fixture
async def plain(acme: Acme) -> AsyncIterator[Client]:
    """The SDK's own client, told what the tenant says."""
    said: dict[str, Any] = {
        **BEGUN,
        "timeout": httpx.Timeout(BEGUN["timeout"]),
        "api_key": acme.key,
    }
    if acme.kind.is_azure:
        said |= {"azure_endpoint": acme.server.azure_endpoint, "api_version": acme.api_version}
    else:
        said |= {"base_url": acme.server.base_url}
    client: Client = acme.kind.sdk(**said)
    yield client
    await acme.settle(client.close())


def chained(client: Client, chain: tuple[Mapping[str, Any], ...]) -> Client:
    """Clone in turns with both of the SDK's names for it."""
    for number, options in enumerate(chain):
        client = client.copy(**options) if number % 2 else client.with_options(**options)
    return client


async def observed(acme: Acme, client: Client) -> dict[str, Any]:
    """Return what a client says of itself, and what the server received from it."""
    request = await acme.sent(client, extra_query={"api-version": acme.api_version})
    apart = {"authorization", "cookie", "connection"}
    return {
        "timeout": client.timeout,
        "max_retries": client.max_retries,
        "organization": client.organization,
        "project": client.project,
        "base_url": client.base_url,
        "default_query": client.default_query,
        "strict": client._strict_response_validation,
        "path": request.path,
        "query": request.query,
        "headers": {name: value for name, value in request.header.items() if name not in apart},
    }


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
async def test_clones_are_what_the_sdks_are(
    acme: Acme, plain: Client, chain: tuple[Mapping[str, Any], ...]
) -> None:
    """The same options make the same clone of a tenant's client and of a plain one.

    Those that they came from stay as they were.
    """
    client = acme.client(**BEGUN)
    before = await observed(acme, client)
    ours = await observed(acme, chained(client, chain))
    theirs = await observed(acme, chained(plain, chain))
    assert theirs == ours
    assert before == await observed(acme, client)


@pytest.mark.parametrize("what", ["headers", "query"])
def test_to_set_and_to_add_at_once_is_an_error(acme: Acme, plain: Client, what: str) -> None:
    """`default_headers` beside `set_default_headers`, and so for the query, is a `ValueError`."""
    options: dict[str, Any] = {f"default_{what}": {"a": "1"}, f"set_default_{what}": {"b": "2"}}
    for client in (acme.client(), plain):
        for clone in (client.copy, client.with_options):
            with pytest.raises(ValueError, match=f"default_{what}.*mutually exclusive"):
                clone(**options)
    with pytest.raises(ValueError, match=f"default_{what}.*mutually exclusive"):
        acme.of(acme.registry(), **options)


# -- how responses are read -----------------------------------------------------------------------


async def test_a_stream_is_read_to_its_end(acme: Acme) -> None:
    """Server-sent events come one by one, from clients and clones."""
    client = acme.client()
    for each in (client, client.with_options(timeout=5)):
        assert "Hello from tenantry." == await acme.streamed(each)


async def test_a_stream_is_a_context_manager(acme: Acme) -> None:
    """A stream that is left early gives its socket back or up; the client goes on."""
    client = acme.client()
    stream: Any = await acme.chat(client, stream=True)
    async with AsyncExitStack() as stack:
        if acme.kind.is_async:
            chunk = await anext(aiter(await stack.enter_async_context(stream)))
        else:
            chunk = next(iter(stack.enter_context(stream)))
        assert "chat.completion.chunk" == chunk.object
    assert 200 == (await acme.sent(client)).status


async def test_raw_responses(acme: Acme) -> None:
    """`with_raw_response` gives headers and the parsed answer."""
    chat: Any = acme.client().chat.completions.with_raw_response
    raw = await acme.settle(chat.create(model=acme.model, messages=[]))
    assert raw.headers["x-request-id"].startswith("req_")
    assert isinstance(raw.parse(), ChatCompletion)


async def test_streaming_responses(acme: Acme) -> None:
    """`with_streaming_response` gives the body while it arrives."""
    chat: Any = acme.client().chat.completions.with_streaming_response
    manager = chat.create(model=acme.model, messages=[])
    if acme.kind.is_async:
        async with manager as response:
            text = await response.text()
    else:
        with manager as response:
            text = response.text()
    assert "Hello from tenantry." in text


# -- closing --------------------------------------------------------------------------------------


async def test_closing_a_clone_closes_nothing_shared(acme: Acme) -> None:
    """After `close()` of a clone, client and clone go on, on the very same socket."""
    client = acme.client()
    clone = client.with_options(timeout=5)
    await acme.chat(client)
    await acme.settle(clone.close())
    await acme.chat(clone)
    await acme.chat(client)
    assert 1 == acme.server.connections


async def test_a_with_block_closes_nothing_shared(acme: Acme) -> None:
    """`with client` and `async with client` end as the SDK's do, and the client goes on."""
    client: Any = acme.client()
    if acme.kind.is_async:
        async with client as entered:
            await acme.chat(entered)
    else:
        with client as entered:
            await acme.chat(entered)
    assert client is entered
    assert 200 == (await acme.sent(client)).status
    assert 1 == acme.server.connections


async def test_clients_of_one_tenant_share_sockets_not_with_another(acme: Acme) -> None:
    """Two registries' clients have sockets of their own."""
    for client in (acme.client(), acme.client()):
        await acme.chat(client)
    assert 2 == acme.server.connections
