from __future__ import annotations

from typing import Any

import pytest

from tenantry.errors import ConfigError, Problem
from tenantry.loading import load
from tenantry.sources import kinds

VAULT = {"vault": {"address": "https://vault.example", "auth": {"token": {"env": "T"}}}}


def problems(allow: object, tenant: dict[str, Any], **config: Any) -> list[Problem]:
    whole = {"allow": allow, "sources": VAULT, "tenants": {"acme": tenant}, **config}
    configuration = load(whole, environ={}, kinds=kinds(), tenants_needed=False)
    return list(configuration.quarantined.get("acme", ()))


def by_secret(patterns: dict[str, list[str]], reference: object) -> list[str]:
    return [each.message for each in problems({"secrets": patterns}, {"api_key": reference})]


def by_origin(origins: list[str], url: str, key: str = "base_url") -> list[str]:
    tenant = {"api_key": {"env": "KEY"}, key: url}
    return [each.message for each in problems({"origins": origins}, tenant)]


@pytest.mark.parametrize(
    ("origin", "url"),
    [
        ("https://api.openai.com", "https://api.openai.com/v1"),
        ("https://api.openai.com/", "https://API.OpenAI.com/v1"),
        ("https://API.openai.com", "https://api.openai.com"),
        ("https://*.openai.azure.com", "https://contoso-eu.openai.azure.com/openai"),
        ("https://eu-*.example.com", "https://eu-1.example.com"),
        ("http://localhost:8080", "http://localhost:8080/v1"),
        ("http://[::1]:8080", "http://[::1]:8080/v1"),
    ],
)
def test_allowed_origins(origin: str, url: str) -> None:
    """An origin is scheme, host and port; `*` is one label or a part of one."""
    assert [] == by_origin(["https://other.example", origin], url)


@pytest.mark.parametrize(
    ("origin", "url", "shown"),
    [
        ("https://api.openai.com", "http://api.openai.com", "http://api.openai.com"),
        ("https://api.openai.com", "https://api.openai.com:8443/", "https://api.openai.com:8443"),
        ("https://api.openai.com", "https://api.openai.com.evil.io", ""),
        ("https://*.azure.com", "https://a.b.azure.com", ""),
        ("https://*.azure.com", "https://azure.com", ""),
        ("https://*.azure.com", "https://evil.io:80/.azure.com", "https://evil.io:80"),
        ("https://*", "https://a.b", ""),
        ("https://api-openai.com", "https://apixopenai.com", ""),
    ],
)
def test_other_origins(origin: str, url: str, shown: str) -> None:
    """`*` is never a dot, a port or a scheme."""
    assert [f"{shown or url} is not among allow.origins"] == by_origin([origin], url)


@pytest.mark.parametrize(
    "origin", ["api.openai.com", "*", "*://x", "ftp://x", "https://x:*", "https://x/v1", "https://"]
)
def test_what_an_origin_is(origin: str) -> None:
    """An origin that could match nothing, or too much, stops everything."""
    with pytest.raises(ConfigError) as caught:
        by_origin([origin], "https://api.openai.com")

    message = "is not an origin: write https://HOST, https://HOST:PORT or https://*.DOMAIN"
    assert ("allow.origins.0", message) == (
        caught.value.problems[0].path,
        caught.value.problems[0].message,
    )


@pytest.mark.parametrize(
    ("key", "url"),
    [
        ("base_url", "https://evil.io/v1"),
        ("websocket_base_url", "wss://evil.io/v1"),
        ("proxy", "https://evil.io"),
    ],
)
def test_every_address(key: str, url: str) -> None:
    """Every address that a tenant may say is checked, not only the first."""
    assert ["https://evil.io is not among allow.origins"] == by_origin(["https://x.y"], url, key)
    assert [] == by_origin(["https://evil.io"], url, key)


def test_azure_and_token_exchange() -> None:
    """An azure endpoint and the address of a token exchange are checked too."""
    azure = {
        "provider": "azure",
        "api_version": "2024-10-21",
        "api_key": {"env": "KEY"},
        "azure_endpoint": "https://evil.io",
    }
    identity = {
        "identity_provider_id": "i",
        "service_account_id": "s",
        "subject_token": {"file": "/token"},
        "token_exchange_url": "https://evil.io",
    }
    allow = {"origins": ["https://api.openai.com"]}

    assert ["tenants.acme.azure_endpoint"] == [each.path for each in problems(allow, azure)]
    assert ["tenants.acme.workload_identity.token_exchange_url"] == [
        each.path for each in problems(allow, {"workload_identity": identity})
    ]


ACME = "tenants/{tenant}"


@pytest.mark.parametrize(
    ("patterns", "reference"),
    [
        ({"vault": [ACME]}, {"vault": "tenants/acme"}),
        ({"vault": [ACME]}, {"vault": {"path": "tenants/acme", "field": "x", "version": 2}}),
        ({"vault": [ACME]}, {"vault": "tenants/{tenant}"}),
        ({"vault": ["legacy/{tenant}", "tenants/*"]}, {"vault": "tenants/anything"}),
        ({"vault": ["kv/tenants/{tenant}"]}, {"vault": {"path": "tenants/acme", "mount": "kv"}}),
        ({"file": ["/run/secrets/{tenant}/*"]}, {"file": "/run/secrets/acme/key"}),
        ({"env": ["KEY_*"]}, {"env": "KEY_ACME"}),
        ({"env": ["*"]}, {"env": "KEY"}),
        ({"env": ["K*Y"]}, {"env": "KY"}),
        ({"env": ["*_{tenant}_*_KEY*"]}, {"env": "A_acme_B_B_KEY"}),
        ({"file": ["/*/a*b*c/x"]}, {"file": "/run/aabbcc/x"}),
        ({"vault": [ACME]}, {"env": "ANY"}),
        ({}, {"literal": "sk-1"}),
        ({"vault": [ACME]}, {"first_of": [{"vault": "tenants/acme"}, {"env": "ANY"}]}),
    ],
)
def test_allowed_secrets(patterns: dict[str, list[str]], reference: object) -> None:
    """A source that is not named is open; `*` is any text without a slash."""
    assert [] == by_secret(patterns, reference)


@pytest.mark.parametrize(
    ("patterns", "reference"),
    [
        ({"vault": [ACME]}, {"vault": "tenants/globex"}),
        ({"vault": [ACME]}, {"vault": "tenants/acme/deeper"}),
        ({"vault": ["tenants/*"]}, {"vault": "tenants/acme/deeper"}),
        ({"vault": [ACME]}, {"vault": {"path": "tenants/acme", "mount": "other"}}),
        ({"vault": []}, {"vault": "tenants/acme"}),
        ({"file": ["/run/secrets/{tenant}/*"]}, {"file": "/run/secrets/acme/.."}),
        ({"file": ["/run/*/*/*"]}, {"file": "/run/secrets/../etc"}),
        ({"env": ["KEY/*"]}, {"env": "KEY/%2e%2E"}),
        ({"env": ["KEY_*"]}, {"env": "OTHER"}),
        ({"env": ["KEY.A"]}, {"env": "KEYXA"}),
        ({"env": ["KE*EY"]}, {"env": "KEY"}),
        ({"env": ["A*B*B"]}, {"env": "AB"}),
        ({"env": ["A*C*B"]}, {"env": "AxB"}),
        ({"file": ["/a*b*c"]}, {"file": "/ab/bc"}),
    ],
)
def test_other_secrets(patterns: dict[str, list[str]], reference: dict[str, Any]) -> None:
    """No locator leaves its patterns, by a slash, by dots or by another mount."""
    [source] = reference
    [message] = by_secret(patterns, reference)

    assert message.startswith(f"{source} ")
    assert message.endswith(f" is not among allow.secrets.{source}")


def test_suggestion() -> None:
    """A near pattern is suggested, with the tenant's name filled in."""
    [problem] = problems({"secrets": {"vault": [ACME]}}, {"api_key": {"vault": "tenant/acme"}})

    assert "tenants.acme.api_key" == problem.path
    assert "did you mean 'tenants/acme'?" == problem.hint


def test_nested_references() -> None:
    """The members of first_of are checked each."""
    reference = {
        "first_of": [{"vault": "tenants/acme"}, {"vault": "x"}, {"first_of": [{"env": "Y"}]}]
    }

    assert [
        "vault x is not among allow.secrets.vault",
        "env Y is not among allow.secrets.env",
    ] == by_secret({"vault": [ACME], "env": ["KEY_*"]}, reference)


@pytest.mark.parametrize(
    ("path", "tenant"),
    [
        ("api_key", {"api_key": {"env": "X"}}),
        ("webhook_secret", {"webhook_secret": {"env": "X"}}),
        ("default_headers.X-Key", {"default_headers": {"X-Key": {"env": "X"}, "X-Team": "blue"}}),
        ("default_query.key", {"default_query": {"key": {"env": "X"}}}),
    ],
)
def test_every_reference(path: str, tenant: dict[str, Any]) -> None:
    """References are checked wherever they stand."""
    defaults = {"api_key": {"env": "DEFAULT"}}
    found = problems({"secrets": {"env": ["KEY_*"]}}, tenant, defaults=defaults)

    assert [f"tenants.acme.{path}"] == [problem.path for problem in found]


def test_subject_token() -> None:
    """The subject token of a workload identity is checked."""
    identity = {
        "identity_provider_id": "i",
        "service_account_id": "s",
        "subject_token": {"file": "/other"},
    }
    found = problems({"secrets": {"file": ["/run/*"]}}, {"workload_identity": identity})

    assert ["tenants.acme.workload_identity.subject_token"] == [each.path for each in found]


CLOSED = {"origins": ["https://nowhere.example"], "secrets": {"env": []}}
OPERATORS = {
    "base_url": "https://api.openai.com",
    "api_key": {"env": "SHARED"},
    "default_headers": {"X-Key": {"env": "SHARED"}},
}


def test_defaults_and_profiles() -> None:
    """What defaults and profiles say is the operator's, and exempt."""
    profiles = {"p": OPERATORS}

    assert [] == problems(CLOSED, {"project": "x"}, defaults=OPERATORS)
    assert [] == problems(CLOSED, {"profile": "p"}, profiles=profiles)
    assert [] == problems(
        CLOSED, {"endpoints": {"us": {"profile": "p"}}}, profiles=profiles, defaults=OPERATORS
    )


def test_endpoints() -> None:
    """What an endpoint says is the tenant's own."""
    tenant = {"endpoints": {"us": {"base_url": "https://evil.io"}}}
    [problem] = problems(CLOSED, tenant, defaults=OPERATORS)

    assert "https://evil.io is not among allow.origins" == problem.message


def test_once_for_all_endpoints() -> None:
    """What the tenant says is told once, however many endpoints lie over it."""
    tenant = {"base_url": "https://evil.io", "endpoints": {"us": {}, "eu": {}}}

    assert 1 == len(problems(CLOSED, tenant, defaults=OPERATORS))
