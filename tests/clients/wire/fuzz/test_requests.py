"""Whatever a caller says, nothing leaves a tenant's own address or changes what it sends.

What arrives carries this tenant's credential alone, below its own path, however a server may read
that path. What is refused is refused with an error of ours or of the SDK; any other is one that the
SDK's own client raises for the same call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from tests.clients.wire.fuzz.conftest import Ground

KINDS = ("sync", "azure", "httpx", "aiohttp")
CHAT: dict[str, Any] = {"model": "m", "messages": []}

bounded = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


# -- paths ----------------------------------------------------------------------------------------

PIECES = (
    *(
        "/",
        "//",
        "..",
        ".",
        "...",
        "../",
        "/..",
        "%2e",
        "%2E%2e",
        "%252e",
        "%c0%ae",
        "\uff0e\uff0e",
        "\u2025",
    ),
    *("%2f", "%2F", "%252f", "%25", "%5c", "\\", ";", ";a=b", "..;", "%3b", "%00", "%0d%0a", "%"),
    *("a", "t-acme", "t-globex", "v1", "models", "?", "#", "&", "@", ":80", "http:", "~", "*"),
    *(" ", "\t", "\x00", "\r\n", "\x7f", "\x85", "é", "😀", "\ud800", "[", "]", "{", "|", "^", '"'),
    *("/t-acme/v1/", "/t-acme%2fv1/", "/t-acme/v1;/", "OWN", "FOREIGN", "localhost", "127.0.0.1"),
)
paths = st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=20)


@pytest.mark.parametrize("kind", KINDS)
@bounded
@given(path=paths)
@example(path="../../t-globex/v1/models")
@example(path="FOREIGN/v1/models")
@example(path="//127.0.0.1:9/v1/models")
@example(path="OWN/t-acme%2fv1/models")
@example(path="OWN/t-acme/v1;/../models")
@example(path="a%2fb%2fc%2fd/%2e%2e/%2e%2e/%2e%2e/t-globex/v1/models")
@example(path="a\\b\\c/%2e%2e/%2e%2e/%2e%2e/t-globex/v1/models")
@example(path="a%252fb%252fc/..%2f..%2f..%2f..%2ft-globex")
@example(path="a%5cb%5cc/%2e%2e/%2e%2e/%2e%2e/t-globex/v1/models")
@example(path="a;/b;/%2e%2e;x/%2e%2e;x/%2e%2e;x/%2e%2e;x/t-globex")
def test_paths_of_requests(ground: Ground, kind: str, path: str) -> None:
    """`client.get` and `client.post` take any path, and none leads out of the tenant's own."""
    path = ground.placed(path)
    ground.ask(kind, lambda client: client.get(path, cast_to=object))
    ground.ask(kind, lambda client: client.post(path, cast_to=object, body={}))


@pytest.mark.parametrize("kind", KINDS)
@bounded
@given(name=paths)
@example(name="../../../../t-globex/openai/deployments/m")
@example(name="..%2f..%2f..%2f..%2ft-globex")
@example(name="a%2fb%2fc/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e")
@example(name="\\..\\..\\..\\..\\..\\..")
def test_names_that_become_a_part_of_the_path(ground: Ground, kind: str, name: str) -> None:
    """Ids of models and files, and the model that names an Azure deployment, lead nowhere else."""
    name = ground.placed(name)
    ground.ask(kind, lambda client: client.models.retrieve(name))
    ground.ask(kind, lambda client: client.files.content(name))
    ground.ask(kind, lambda client: client.chat.completions.create(model=name, messages=[]))


# -- headers --------------------------------------------------------------------------------------

NAMES = (
    *("Authorization", "authorization", "api-key", "API-KEY", "Proxy-Authorization", "Host"),
    *("Authorization: Bearer foreign", "Host: foreign", "Host ", " Host", "X", "x-Y", "", ":"),
    *("X\r\nInjected", "X\nInjected", "X\rInjected", "X\x00", "X\tY", "X Y", "é", "X:", "\u212a"),
    *("Content-Length", "Transfer-Encoding", "transfer-encoding", "Connection", "Upgrade", "TE"),
    *("OpenAI-Organization", "Cookie", "User-Agent", "Content-Type", "Idempotency-Key", "Trailer"),
)
VALUES = (
    *("", " ", "yes", "foreign", "Bearer foreign", "Basic Zm9yZWlnbg==", "0", "3", "1000000", "-1"),
    *(
        "chunked",
        "identity",
        "chunked, identity",
        "gzip",
        "close",
        "upgrade",
        "host, authorization",
    ),
    *("a\r\nInjected: 1", "a\nInjected: 1", "a\rInjected: 1", "a\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
    *(
        "a\x00",
        "\x7f",
        "é",
        "\x85",
        "\u2028",
        "\ud800",
        "😀",
        "嘊嘍Injected: 1",
        "\t",
        "127.0.0.1:9",
    ),
    *("tenantry:api_key", "Bearer tenantry:api_key", "tenantry:admin_api_key", "Bearer "),
)
names = st.sampled_from(NAMES) | st.text(max_size=8)
values = st.sampled_from(VALUES) | st.text(max_size=8)
headers = st.dictionaries(names, values, min_size=1, max_size=4)
SMUGGLED = b"0\r\n\r\nGET /t-globex/v1/models HTTP/1.1\r\nX-Evil: "


@pytest.mark.parametrize("kind", KINDS)
@bounded
@given(said=headers)
@example(said={"Authorization": "Bearer foreign"})
@example(said={"Authorization": "Bearer foreign", "authorization": "Bearer tenantry:api_key"})
@example(said={"Authorization: Bearer foreign": "x"})
@example(said={"Host": "127.0.0.1:9"})
@example(said={"Host:foreign": "x"})
@example(said={"X\r\nInjected": "1"})
@example(said={"X": "a\r\nInjected: 1"})
@example(said={"X ": "yes"})
@example(said={"": "yes"})
@example(said={"Transfer-Encoding": "chunked"})
@example(said={"Transfer-Encoding": "chunked", "Content-Length": "5"})
@example(said={"Transfer-Encoding": "identity"})
@example(said={"Content-Length": "3"})
def test_headers_of_requests(ground: Ground, kind: str, said: dict[str, str]) -> None:
    """`extra_headers` and default headers add nothing but themselves, and no credential."""
    raw = {"content": SMUGGLED, "options": {"headers": said}}
    ground.ask(kind, lambda client: client.chat.completions.create(**CHAT, extra_headers=said))
    ground.ask(kind, lambda client: client.post("models", cast_to=object, **raw))
    ground.ask(kind, lambda client: client.with_options(default_headers=said).models.list())
    ground.ask(kind, lambda client: client.copy(set_default_headers=said).models.list())


# -- queries and bodies ---------------------------------------------------------------------------

simple = st.none() | st.booleans() | st.integers() | st.floats() | values
json = st.recursive(
    simple, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(values, inner, max_size=3)
)


@pytest.mark.parametrize("kind", KINDS)
@bounded
@given(
    said=st.dictionaries(names | st.sampled_from(["signature", "api-version"]), json, max_size=4)
)
@example(said={"signature": "tenantry:api_key"})
@example(said={"a": "b HTTP/1.1\r\nInjected: 1\r\n\r\n"})
@example(said={"a#b": "c?d=/../../.."})
def test_queries_of_requests(ground: Ground, kind: str, said: dict[str, Any]) -> None:
    """`extra_query` and default queries stay in the query, and bring no secret there."""
    ground.ask(kind, lambda client: client.models.list(extra_query=said))
    ground.ask(kind, lambda client: client.with_options(default_query=said).models.list())
    ground.ask(kind, lambda client: client.copy(set_default_query=said).models.list())


@pytest.mark.parametrize("kind", KINDS)
@bounded
@given(said=st.dictionaries(values, json, max_size=4))
@example(said={"model": "../../../../t-globex"})
@example(said={"tenantry:api_key": "tenantry:api_key"})
def test_bodies_of_requests(ground: Ground, kind: str, said: dict[str, Any]) -> None:
    """`extra_body` is a part of the body, and brings no secret there."""
    ground.ask(kind, lambda client: client.chat.completions.create(**CHAT, extra_body=said))


# -- options --------------------------------------------------------------------------------------

MOVING = (
    *("api_key", "admin_api_key", "base_url", "http_client", "websocket_base_url"),
    *("azure_ad_token", "azure_ad_token_provider", "azure_endpoint", "api_version"),
    *("workload_identity", "provider", "data_residency", "_enforce_credentials", "unknown"),
)
elsewhere = st.sampled_from(["FOREIGN", "FOREIGN/v1", "OWN/t-globex/v1", "OWN/t-acme/v1/../.."])
inner = st.fixed_dictionaries(
    {}, optional={"api_key": st.just("sk-foreign"), "base_url": elsewhere, "provider": json}
)
options = st.fixed_dictionaries(
    {},
    optional={
        "timeout": st.none() | st.floats(1, 100),
        "max_retries": st.integers(0, 1),
        "default_headers": headers,
        "set_default_headers": headers,
        "default_query": st.dictionaries(names, simple),
        "set_default_query": st.dictionaries(names, simple),
        "organization": values,
        "project": values,
        "_extra_kwargs": inner,
        **dict.fromkeys(MOVING, json | values | elsewhere),
    },
)


def told(said: dict[str, Any], ground: Ground) -> dict[str, Any]:
    """Return options with the addresses that they stand for."""
    return {
        name: ground.placed(value)
        if isinstance(value, str)
        else told(value, ground)
        if isinstance(value, dict)
        else value
        for name, value in said.items()
    }


@pytest.mark.parametrize("kind", KINDS)
@bounded
@given(said=options)
@example(said={"base_url": "FOREIGN"})
@example(said={"_extra_kwargs": {"base_url": "FOREIGN"}})
@example(said={"_extra_kwargs": {"api_key": "sk-foreign"}})
@example(said={"base_url": "OWN/t-acme/v1/../.."})
@example(said={"api_key": "sk-foreign"})
@example(said={"api_key": ""})
@example(said={"organization": "a\r\nInjected: 1"})
@example(said={"default_headers": {"X\r\nInjected": "1"}})
def test_options_of_clones(ground: Ground, kind: str, said: dict[str, Any]) -> None:
    """`with_options` and the registry's own options move neither credential nor address."""
    said = told(said, ground)
    ground.ask(kind, lambda client: client.with_options(**said).models.list())
    ground.ask(kind, lambda _: ground.client(kind, **said).models.list())
