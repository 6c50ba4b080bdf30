"""Where a tenant's requests may go, decided by URL alone."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenantry.clients.boundary import Boundary
from tenantry.clients.http import httpx

ACME = "https://gateway.example/t-acme/v1"


def boundary(url: str = ACME) -> Boundary:
    return Boundary.of(httpx.URL(url))


@pytest.mark.parametrize(
    "url",
    [
        ACME,
        f"{ACME}/",
        f"{ACME}/models",
        f"{ACME}/models?next=https://elsewhere.example/../..",
        f"{ACME}/models/gpt-4.1",
        f"{ACME}/files/a%20b",
        f"{ACME}/chat/../models",
        f"{ACME}//models",
        f"{ACME}/models/a;b=c/..d",
        "https://GATEWAY.example:443/t-acme/v1/models",
    ],
)
def test_what_lies_below_may_be_asked(url: str) -> None:
    """The tenant's own path and all below it pass, however they are written."""
    assert "" == boundary().objection(httpx.URL(url))


@pytest.mark.parametrize(
    "url",
    [
        "http://gateway.example/t-acme/v1/models",
        "https://gateway.example:8443/t-acme/v1/models",
        "https://gateway.example.elsewhere/t-acme/v1/models",
        "https://sub.gateway.example/t-acme/v1/models",
        "https://gateway.example@elsewhere.example/t-acme/v1/models",
    ],
)
def test_another_origin_is_refused(url: str) -> None:
    """Scheme, host and port have to be the tenant's."""
    assert "is another address" in boundary().objection(httpx.URL(url))


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/t-acme",
        "/t-acme/v10/models",
        "/t-acme/v1..",
        "/t-acme/v1/..",
        "/t-acme/v1/../../t-globex/v1/models",
        "/t-acme/v1/%2e%2e/%2e%2e/t-globex",
        "/t-acme/v1/%252E%252e%252f..",
        "/t-acme/v1/..%5c..%5ct-globex",
        "/t-acme/v1/..;a=b/models",
        "/t-acme/v1/chat/%2e%2e/models",  # inside for some servers, and no SDK writes it
        "/t-acme/v1/a\\b\\c/%2e%2e/%2e%2e/%2e%2e/t-globex",  # one segment, or three
        "/t-acme/v1/a%2fb%2fc/%2e%2e/%2e%2e/%2e%2e/t-globex",
        "/t-acme%2fv1/models",
        "/t-globex/v1/models",
    ],
)
def test_another_path_is_refused(path: str) -> None:
    """Whatever resolves to a place outside of the tenant's path is refused."""
    url = httpx.URL("https://gateway.example").copy_with(raw_path=path.encode())
    assert "leads out" in boundary().objection(url)


def test_an_origin_alone_holds_every_path() -> None:
    """A tenant whose address has no path may ask for any."""
    assert "" == boundary("http://127.0.0.1:8080").objection(
        httpx.URL("http://127.0.0.1:8080/../a/%2e%2e/b")
    )


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (ACME, "https://gateway.example/t-acme/v1/"),
        ("https://gateway.example:443", "https://gateway.example/"),
        ("http://gateway.example:8080/v1/", "http://gateway.example:8080/v1/"),
        ("http://[::1]:8080/v1", "http://[::1]:8080/v1/"),
    ],
)
def test_a_boundary_reads_as_its_address(url: str, shown: str) -> None:
    """What errors show is the address with its path, and the port where it is not the usual."""
    assert shown == str(boundary(url))


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("HTTPS://gateway.example:443/v1/", "https://gateway.example/v1/models"),
        ("https://gateway.example/v1/", "HTTPS://gateway.example:443/v1/models"),
        ("http://[2001:DB8::1]:8080/v1/", "http://[2001:DB8::1]:8080/v1/models"),
    ],
)
def test_an_address_may_be_written_otherwise(said: str, asked: str) -> None:
    """The http library leaves a port or capitals where they change nothing."""
    url = httpx.URL(asked)
    here = Boundary.of(httpx.URL(said))
    assert ("", "") == (here.objection(url), here.foreign_host(url, [url.netloc.lower()]))


@pytest.mark.parametrize(
    ("host", "fits"),
    [
        ("gateway.example", True),
        ("GATEWAY.example", True),
        ("elsewhere.example", False),
        ("gateway.example:8443", False),
        ("", False),
    ],
)
def test_the_host_header_has_to_be_the_urls(host: str, fits: bool) -> None:
    """A `Host` header passes where it says what the URL says, in any case of letters."""
    assert fits == (boundary().foreign_host(httpx.URL(ACME), [host.encode()]) == "")


def test_a_request_without_host_header_names_no_other() -> None:
    """Where there is no `Host` header, none is foreign."""
    assert "" == boundary().foreign_host(httpx.URL(ACME), [])


def test_two_hosts_are_refused() -> None:
    """Servers differ in which of them they take."""
    hosts = [b"gateway.example", b"gateway.example"]
    assert "" != boundary().foreign_host(httpx.URL(ACME), hosts)


SEGMENTS = st.sampled_from(
    [
        *("..", ".", "", "a", "v1", "t-acme", "t-globex", "gpt-4.1", "..;", ";a=..", "..;a=b/"),
        *("%2e%2e", "%2E.", ".%2e", "%252e%252e", "%25252e.", "..%2f", "%2f..%2F", "..%252f"),
        *("..\\", "..%5c", "%5C..", "%255c..", "\\..\\..", "%25", "%", "%2", "..."),
    ]
)


def segments(path: str) -> list[str]:
    """Walk a path as a server would that decodes to the end and forgives everything."""
    while unquote(path) != path:
        path = unquote(path)
    walked: list[str] = []
    for segment in re.split(r"[/\\]+", path):
        name = segment.partition(";")[0]
        if name == "..":
            walked = walked[:-1]
        elif name not in ("", "."):
            walked.append(name)
    return walked


@given(st.lists(SEGMENTS, max_size=8), st.sampled_from(["/t-acme/v1/", "/t-acme/", "/"]))
def test_no_path_leads_out(below: list[str], start: str) -> None:
    """No path that passes resolves to a place outside of the tenant's own."""
    raw_path = (start + "/".join(below)).encode()
    url = httpx.URL("https://gateway.example").copy_with(raw_path=raw_path)
    if not boundary().objection(url):
        path = url.raw_path.partition(b"?")[0].decode()
        assert ["t-acme", "v1"] == segments(path)[:2]


@given(st.text(max_size=40))
def test_no_relative_url_leads_to_another_origin(text: str) -> None:
    """Whatever is joined to the base URL passes only if scheme, host and port stay the same."""
    base = httpx.URL(f"{ACME}/")
    try:
        url = base.join(text)
    except httpx.InvalidURL:
        return
    if not boundary().objection(url):
        assert ("https", "gateway.example") == (url.scheme, url.host)
        assert url.port in (None, 443)
