"""Whatever a configuration says of names and addresses, requests go where it says, or nowhere."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import idna
import openai
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tenantry import ClientRegistry
from tenantry.errors import ConfigError, TenantryError, UnknownTenantError

if TYPE_CHECKING:
    from tests.clients.wire.conftest import Message
    from tests.clients.wire.fuzz.conftest import Ground

KEY = "sk-acme-1"
PIECES = (
    *(
        "/",
        "//",
        "..",
        ".",
        "%2e",
        "%2f",
        "%5c",
        "\\",
        ";",
        ";a=b",
        "%00",
        "%",
        "?",
        "#",
        "@",
        ":80",
    ),
    *(
        "a",
        "v1",
        "acme",
        "http:",
        "~",
        "*",
        " ",
        "\t",
        "\x00",
        "\r\n",
        "\x7f",
        "\x85",
        "é",
        "\ud800",
    ),
    *("[", "{", "{tenant}", "${HOME}", "OWN", "FOREIGN"),
)
paths = st.lists(st.sampled_from(PIECES), max_size=6).map("".join)

bounded = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@bounded
@given(name=paths | st.text(max_size=40))
@example(name="..")
@example(name="a..b")
@example(name="acme\n")
@example(name="t-globex/v1#")
@example(name="%2e%2e")
@example(name="\uff41cme")
def test_names_of_tenants(ground: Ground, name: str) -> None:
    """A name that a configuration may give stays one segment of a path; no other is known."""
    with pytest.raises(UnknownTenantError):
        ground.registry.client(name)
    said = {"base_url": f"{ground.tap.url}/t-acme/{{tenant}}/v1", "api_key": {"literal": KEY}}
    try:
        registry = ClientRegistry.open({"tenants": {name: said}}, environ={})
    except ConfigError:
        return
    with registry:
        registry.client(name).models.list()
    [message] = ground.tap.taken()
    assert f"/t-acme/{name}/v1/models".encode() == message.target
    assert "" == ground.fault(message)


HOSTS = (
    *("acme.test", "acme.test.", "ACME.test", "127.0.0.1", "127.1", "0x7f000001", "2130706433"),
    *("[::1", "::1", "[acme.test]", "bücher.test", "xn--bcher-kva.test"),
    *(
        "\uff41cme.test",
        "acme\u3002test",
        "a\u00adcme.test",
        "\u212alvin.test",
        "acme.test\\evil.test",
        "",
    ),
    *("acme.test@evil.test", "user:pw@acme.test", "acme%2etest", "acme test", "acme.test\r\nX: 1"),
    *("acme.test:", "acme_test", "-acme.test", "a..test", "a" * 64 + ".test", "evil.test#"),
)
PORTS = ("", ":80", ":443", ":0", ":00080", ":8080", ":65535", ":65536", ":99999", ":-1", ":a", ":")
SCHEMES = ("http://", "https://", "HTTP://", "ftp://", "//", "http:/", "http:", "javascript:", "")
addresses = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(SCHEMES) | st.just("http://"),
        st.sampled_from(HOSTS) | st.text(max_size=8),
        st.sampled_from(PORTS) | st.just(""),
        paths,
    ),
)


@bounded
@given(address=addresses, azure=st.booleans())
@example(address="http://acme.test\\@evil.test/v1", azure=False)
@example(address="http://acme.test:00080/v1", azure=False)
@example(address="http://acme.test./a/../../b", azure=False)
@example(address="http://bücher.test/v1", azure=True)
@example(address="http://acme.test:8080/v1;a//b", azure=False)
@example(address="http://acme.test:/v1", azure=False)
@example(address="http:// /v1", azure=False)
@example(address="http://\x1f/v1", azure=False)
@example(address="http://acme.test/\ud800", azure=False)
@example(address="http://-\x80/v1", azure=False)
@example(address="http://a..test/v1", azure=False)
@example(address="http://acme.test/v1?a=b#c", azure=False)
def test_addresses_of_tenants(ground: Ground, address: str, azure: bool) -> None:
    """An address is refused when it is read, or requests go to the host and port that it says.

    A tap stands in for every host, as a proxy.
    """
    address = ground.placed(address)
    said: dict[str, Any] = {"api_key": {"literal": KEY}, "proxy": ground.tap.url, "max_retries": 0}
    if azure:
        said |= {"provider": "azure", "azure_endpoint": address, "api_version": "1"}
    else:
        said |= {"base_url": address}
    try:
        registry = ClientRegistry.open({"tenants": {"acme": said}}, environ={})
    except ConfigError:
        return
    # An https address is one, which the tap does not speak.
    with registry, contextlib.suppress(TenantryError, openai.OpenAIError):
        registry.client("acme").models.list()
    for message in ground.tap.taken():
        check_target(message, address.replace("{tenant}", "acme"))


def check_target(message: Message, address: str) -> None:
    """See that a proxy was asked for the address, and given its credential only behind it."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    host = host if host.isascii() else idna.encode(host).decode()
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    method, target, _ = message.lines[0].split(b" ")
    asked = urlsplit(("//" if method == b"CONNECT" else "") + target.decode())
    assert (host, port) == (asked.hostname, asked.port or 80)
    assert b"@" not in asked.netloc.encode()
    if method == b"CONNECT":
        assert KEY.encode() not in message.head
