"""A tenant that asks for the environment gets what the SDK and its http library read there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai
import pytest
from pydantic import SecretStr

from tenantry.errors import ConfigError, Site
from tenantry.loading import explain, load
from tenantry.loading.inherited import inherited, inherited_connection
from tenantry.sources import kinds

if TYPE_CHECKING:
    from collections.abc import Mapping

ALL = {
    "OPENAI_API_KEY": "sk-1",
    "OPENAI_ADMIN_KEY": "sk-2",
    "OPENAI_BASE_URL": "https://proxy.example/v1",
    "OPENAI_ORG_ID": "org",
    "OPENAI_PROJECT_ID": "proj",
    "OPENAI_WEBHOOK_SECRET": "whsec",
    "AZURE_OPENAI_API_KEY": "az-1",
    "AZURE_OPENAI_ENDPOINT": "https://eu.openai.azure.com",
    "OPENAI_API_VERSION": "2024-10-21",
}
ALWAYS = {
    "admin_api_key": {"env": "OPENAI_ADMIN_KEY"},
    "webhook_secret": {"env": "OPENAI_WEBHOOK_SECRET"},
    "organization": "org",
    "project": "proj",
}
PROXY = "http://proxy.corp:3128"
TENANT = {"base_url": "https://api.example.com/v1"}


# -- the SDK's own --------------------------------------------------------------------------------


def test_inherited_by_openai() -> None:
    """An openai tenant inherits the SDK's variables; secrets are references to them."""
    layer = inherited(ALL, "openai")

    assert {
        **ALWAYS,
        "api_key": {"env": "OPENAI_API_KEY"},
        "base_url": "https://proxy.example/v1",
    } == layer
    assert Site("env OPENAI_ORG_ID") == layer.sites["organization"]


def test_inherited_by_azure() -> None:
    """An azure tenant inherits the variables of AzureOpenAI."""
    assert {
        **ALWAYS,
        "api_key": {"env": "AZURE_OPENAI_API_KEY"},
        "azure_endpoint": "https://eu.openai.azure.com",
        "api_version": "2024-10-21",
    } == inherited(ALL, "azure")


def test_inherited_token() -> None:
    """A token is nearer than a key, as in the SDK; an empty one does not count."""
    token = inherited({**ALL, "AZURE_OPENAI_AD_TOKEN": "t"}, "azure")
    empty = inherited({**ALL, "AZURE_OPENAI_AD_TOKEN": ""}, "azure")

    assert {"env": "AZURE_OPENAI_AD_TOKEN"} == token["azure_ad_token"]
    assert "api_key" not in token
    assert {"env": "AZURE_OPENAI_API_KEY"} == empty["api_key"]


def test_inherited_headers() -> None:
    """Custom headers are lines of name and value, as in the SDK."""
    layer = inherited({"OPENAI_CUSTOM_HEADERS": "X-A: 1\nnonsense\nX-B:b:c"}, "openai")

    assert {"default_headers": {"X-A": "1", "X-B": "b:c"}} == layer


def test_nothing_inherited() -> None:
    """Empty variables are not there."""
    assert {} == inherited(dict.fromkeys(ALL, ""), "openai")
    assert {} == inherited_connection(dict.fromkeys(("HTTPS_PROXY", "SSL_CERT_FILE"), ""), TENANT)


# -- the http library's own -----------------------------------------------------------------------


def proxy_url(environ: Mapping[str, str], said: Mapping[str, Any] = TENANT) -> str | None:
    proxy: Mapping[str, str] = inherited_connection(environ, said).get("proxy", {})
    return proxy.get("url")


@pytest.mark.parametrize(
    ("environ", "used"),
    [
        ({"HTTPS_PROXY": PROXY, "HTTP_PROXY": "http://b", "ALL_PROXY": "http://c"}, PROXY),
        ({"HTTP_PROXY": "http://b"}, None),
        ({"ALL_PROXY": "http://c", "HTTP_PROXY": "http://b"}, "http://c"),
        ({"https_proxy": PROXY, "HTTPS_PROXY": "http://b"}, PROXY),
        ({"HTTPS_PROXY": "http://b", "https_proxy": ""}, None),
        ({"HTTPS_PROXY": "proxy.corp:3128"}, PROXY),
        ({"HTTPS_PROXY": f"{PROXY}/"}, PROXY),
    ],
)
def test_which_proxy(environ: dict[str, str], used: str | None) -> None:
    """The variable of the address's scheme is nearer than ALL_PROXY, lower case than upper."""
    assert used == proxy_url(environ)


@pytest.mark.parametrize(
    ("said", "used"),
    [
        ({"base_url": "http://gateway.example"}, "http://plain"),
        ({"azure_endpoint": "http://gateway.example"}, "http://plain"),
        ({"azure_endpoint": "https://eu.openai.azure.com"}, PROXY),
        ({}, PROXY),
    ],
)
def test_the_scheme_is_the_addresss(said: dict[str, str], used: str) -> None:
    """Which variable is read depends on the tenant's address; OpenAI's own is https."""
    assert used == proxy_url({"HTTPS_PROXY": PROXY, "HTTP_PROXY": "http://plain"}, said)


def test_a_scripts_request_header_is_no_proxy() -> None:
    """In a CGI script HTTP_PROXY may come from whoever sends a `Proxy` header."""
    said = {"base_url": "http://gateway.example"}
    cgi = {"REQUEST_METHOD": "GET", "HTTP_PROXY": "http://evil"}
    assert proxy_url(cgi, said) is None
    assert proxy_url({**cgi, "http_proxy": PROXY}, said) == PROXY


def test_user_information_is_taken_apart() -> None:
    """Name and password of a proxy's URL stand at their own keys, decoded and not shown."""
    layer = inherited_connection({"HTTPS_PROXY": "http://us%40er:p%3Aw@proxy.corp:3128"}, TENANT)
    assert {"url", "username", "password"} == set(layer["proxy"])
    assert (PROXY, "us@er") == (layer["proxy"]["url"], layer["proxy"]["username"])
    assert layer["proxy"]["password"] == SecretStr("p:w")
    assert {Site("env HTTPS_PROXY")} == {
        Site(site.file) for site in (layer.sites["proxy"], *layer["proxy"].sites.values())
    }


def test_a_name_alone_is_no_password() -> None:
    """A proxy's URL may hold a name without a password."""
    layer = inherited_connection({"ALL_PROXY": "http://user@proxy.corp:3128"}, TENANT)
    assert {"url": PROXY, "username": "user"} == layer["proxy"]


@pytest.mark.parametrize("text", ["http://u:hunter2@[proxy", "http://u:hunter2@proxy:port"])
def test_what_is_no_url_is_not_shown(text: str) -> None:
    """A malformed proxy keeps the tenant from being used, and its text is not in the problem."""
    config = {"tenants": {"acme": {"inherit_environment": True, "api_key": {"env": "KEY"}}}}
    with pytest.raises(ConfigError, match=r"env HTTPS_PROXY: .*is not an http") as caught:
        load(config, environ={"HTTPS_PROXY": text}, kinds=kinds())
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "ca"),
    [
        ({"SSL_CERT_FILE": "/etc/a.pem", "SSL_CERT_DIR": "/etc/b"}, "/etc/a.pem"),
        ({"SSL_CERT_FILE": "", "SSL_CERT_DIR": "/etc/b"}, "/etc/b"),
    ],
)
def test_what_is_trusted(environ: dict[str, str], ca: str) -> None:
    """SSL_CERT_FILE is nearer than SSL_CERT_DIR."""
    assert {"tls": {"ca": ca}} == inherited_connection(environ, TENANT)


# -- NO_PROXY -------------------------------------------------------------------------------------

HOSTS = [
    "https://api.example.com/v1",
    "https://api.example.com:8443/v1",
    "https://example.com",
    "https://badexample.com",
    "http://API.example.com",
    "https://localhost:8080",
    "https://sub.localhost",
    "https://10.1.2.3",
    "https://[2001:db8::7]:8443",
]
NO_PROXY = [
    "",
    "*",
    "other.example,*",
    "example.com",
    "EXAMPLE.com",
    ".example.com",
    "api.example.com",
    "api.example.com:8443",
    "example.com:8080",
    "https://api.example.com",
    "http://api.example.com",
    "all://example.com",
    "localhost",
    "10.1.2.3",
    "2001:db8::7",
    "other.example , api.example.com,",
]
# What httpx 0.28 cannot read, and its successor can.
NEWER = [
    "*.example.com",
    "10.0.0.0/8",
    "10.0.0.0/33",
    "2001:db8::/32",
    "[2001:db8::7]",
    "example.com/path",
    "http://[",
]


@pytest.mark.parametrize("url", HOSTS)
@pytest.mark.parametrize("no_proxy", [*NO_PROXY, *NEWER])
def test_no_proxy_is_read_as_the_library_reads_it(
    monkeypatch: pytest.MonkeyPatch, url: str, no_proxy: str
) -> None:
    """Whatever NO_PROXY says, a tenant is exempt where the SDK's own client would be."""
    base: Any = openai.DefaultHttpxClient.__mro__[1]
    if no_proxy in NEWER and base.__module__.partition(".")[0] == "httpx":
        pytest.skip("httpx cannot read this entry, its successor can")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    environ = {"ALL_PROXY": PROXY, "NO_PROXY": no_proxy}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with base(verify=False) as client:
        proxied = client._transport_for_url(client.build_request("GET", url).url)
        exempt = proxied is client._transport
    assert exempt == (proxy_url(environ, {"base_url": url}) is None)


# -- in a configuration ---------------------------------------------------------------------------

ENVIRON = {
    "OPENAI_API_KEY": "sk-of-the-environment",
    "https_proxy": "http://user:hunter2@proxy.corp:3128",
    "SSL_CERT_FILE": "/etc/corp.pem",
    "NO_PROXY": "internal.example",
}


def explained(**said: Any) -> dict[str, tuple[str, str]]:
    config = {"defaults": {"tls": {"verify": False}}, "tenants": {"acme": said}}
    tenant = load(config, environ=ENVIRON, kinds=kinds()).tenants["acme"]
    return {each.name: (each.value, each.origin) for each in explain(tenant)}


def test_explain_says_which_variable() -> None:
    """Proxy and trust show the variable that they come from, and no password."""
    shown = explained(inherit_environment=True)
    assert {
        "proxy.url": (PROXY, "env https_proxy"),
        "proxy.username": ("user", "env https_proxy"),
        "proxy.password": ("**********", "env https_proxy"),
        "tls.ca": ("/etc/corp.pem", "env SSL_CERT_FILE"),
    }.items() <= shown.items()
    assert "false" == shown["tls.verify"][0]


def test_what_the_tenant_says_is_nearer() -> None:
    """A tenant's own proxy or trust, also none, displaces what variables say."""
    own = explained(
        inherit_environment=True, proxy="http://own.example", tls={"ca": "/etc/own.pem"}
    )
    assert ("http://own.example", "/etc/own.pem") == (own["proxy"][0], own["tls.ca"][0])
    assert "proxy.password" not in own
    none = explained(inherit_environment=True, proxy=None, tls=None)
    assert ("null", "default") == none["proxy"]


def test_the_tenants_own_address_is_exempted() -> None:
    """NO_PROXY is held against the address that the tenant ends with."""
    said = {"inherit_environment": True, "base_url": "https://llm.internal.example/v1"}
    assert "proxy.url" not in explained(**said)
    assert "proxy.url" in explained(inherit_environment=True, data_residency="eu")


def test_nothing_is_inherited_unasked() -> None:
    """Without `inherit_environment` no variable says a proxy, or what is trusted."""
    shown = explained(api_key={"env": "OPENAI_API_KEY"})
    assert ("null", "default") == shown["proxy"]
    assert "tls.ca" not in shown
