from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tenantry.settings import NestedProblems, References, TenantSettings
from tenantry.sources import kinds

REFERENCES = References(kinds())
KEY = {"env": "KEY"}
AZURE = {"provider": "azure", "azure_endpoint": "https://a.example", "api_version": "2024-10-21"}
IDENTITY = {"identity_provider_id": "i", "service_account_id": "s", "subject_token": {"file": "/t"}}


def read(**said: Any) -> TenantSettings:
    return TenantSettings.model_validate(said, context=REFERENCES)


def faults(**said: Any) -> list[tuple[str, str]]:
    """Return the path and the words of everything that is wrong."""
    with pytest.raises(ValidationError) as caught:
        read(**said)
    assert "hunter2" not in f"{caught.value!s}{caught.value!r}"
    return [found for error in caught.value.errors() for found in unfolded(error)]


def unfolded(error: Any) -> list[tuple[str, str]]:
    cause = error.get("ctx", {}).get("error")
    inside = cause.cause.errors() if isinstance(cause, NestedProblems) else [error]
    outside = error["loc"] if isinstance(cause, NestedProblems) else ()
    return [(".".join(map(str, (*outside, *each["loc"]))), each["msg"]) for each in inside]


def fault(**said: Any) -> tuple[str, str]:
    [found] = faults(**said)
    return found


def test_what_was_said() -> None:
    """What was not said is not set, so that the SDK's own default applies."""
    assert {"api_key", "project"} == read(api_key=KEY, project="p").model_fields_set


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ({"api_key": KEY}, "api_key"),
        ({"workload_identity": IDENTITY}, "workload_identity"),
        ({"admin_api_key": KEY}, None),
        ({**AZURE, "azure_ad_token": KEY}, "azure_ad_token"),
        ({**AZURE, "azure_ad_token_provider": KEY}, "azure_ad_token_provider"),
    ],
)
def test_credentials(said: dict[str, Any], key: str | None) -> None:
    """A tenant has one credential, or only that of an administrator."""
    assert key == read(**said).credential_key()


def test_no_credential() -> None:
    """Without a credential nothing can be asked; what is missing depends on the provider."""
    assert ("", "no credential: say one of api_key, workload_identity, admin_api_key") == fault()
    assert (
        "",
        "no credential: say one of api_key, azure_ad_token, azure_ad_token_provider",
    ) == fault(**AZURE)


def test_azure() -> None:
    """An azure tenant needs its address and the version of the interface."""
    base_url = {"provider": "azure", "api_key": KEY, "base_url": "https://a.example"}
    version = {"provider": "azure", "api_key": KEY, "api_version": "2024-10-21"}

    assert ("", "an azure tenant needs azure_endpoint (or base_url)") == fault(**version)
    assert ("", "an azure tenant needs api_version") == fault(**base_url)
    assert "azure" == read(**base_url, api_version="2024-10-21").provider


def test_all_that_is_missing() -> None:
    """Everything that a tenant lacks is told at once."""
    assert [
        ("", "no credential: say one of api_key, azure_ad_token, azure_ad_token_provider"),
        ("", "an azure tenant needs azure_endpoint (or base_url)"),
        ("", "an azure tenant needs api_version"),
    ] == faults(provider="azure")


@pytest.mark.parametrize("provider", ["bedrock", "vertex"])
def test_unsupported_providers(provider: str) -> None:
    """The SDK's own providers are named as unsupported, with the reason."""
    path, message = fault(provider=provider)

    assert "provider" == path
    assert message.startswith(f"'{provider}' is not supported: the SDK's own `provider=` signs")


def test_unknown_provider() -> None:
    """Another provider is refused without being shown."""
    assert ("provider", "Input should be 'openai' or 'azure'") == fault(provider="hunter2")


@pytest.mark.parametrize("name", ["X Team", "", "X:", "Ü", "X\n"])
def test_header_names(name: str) -> None:
    """A header has a name that can be sent."""
    path = f"default_headers.{name}".rstrip(".")

    assert (path, "is not a name that a header can have") == fault(
        api_key=KEY, default_headers={name: "x"}
    )


@pytest.mark.parametrize("name", ["Authorization", "api-key", "Proxy-Authorization"])
def test_headers_with_credentials(name: str) -> None:
    """A header that carries a credential is a secret reference."""
    message = "is a header that carries a credential: it wants a secret reference"

    assert (f"default_headers.{name}", message) == fault(
        api_key=KEY, default_headers={name: "hunter2"}
    )
    assert [f"default_headers.{name}"] == [
        path for path, _ in read(admin_api_key=KEY, default_headers={name: KEY}).references()[1:]
    ]


@pytest.mark.parametrize("value", ["hunter2\r\nX-Evil: 1", "hünter2", "hunter2\0"])
def test_header_values(value: str) -> None:
    """A value that would be another header, or none, is refused without being shown."""
    message = "has a value with a character that no header can have (not shown)"

    assert ("default_headers.X", message) == fault(api_key=KEY, default_headers={"X": value})


def test_all_headers() -> None:
    """Every header that cannot be sent is told at once."""
    headers = {"X Team": "hünter2", "X-Good": "blue", "Authorization": "hunter2", "X Key": KEY}

    assert ["X Team", "X Team", "Authorization", "X Key"] == [
        path.removeprefix("default_headers.")
        for path, _ in faults(api_key=KEY, default_headers=headers)
    ]


def test_references() -> None:
    """Every secret that the tenant needs is listed with the path of its key."""
    settings = read(
        api_key=KEY,
        admin_api_key={"env": "ADMIN"},
        webhook_secret={"env": "HOOK"},
        default_headers={"X-Key": {"env": "HEADER"}, "X-Team": "blue"},
        default_query={"code": {"env": "QUERY"}, "n": 1},
        tls={"certificate": "/cert.pem", "key": {"env": "TLS"}},
        proxy={"url": "http://proxy", "password": {"env": "PROXY"}},
    )

    assert [
        ("api_key", "env KEY"),
        ("admin_api_key", "env ADMIN"),
        ("webhook_secret", "env HOOK"),
        ("default_headers.X-Key", "env HEADER"),
        ("default_query.code", "env QUERY"),
        ("tls.key", "env TLS"),
        ("proxy.password", "env PROXY"),
    ] == [(path, str(reference)) for path, reference in settings.references()]


def test_subject_token() -> None:
    """The subject token of a workload identity is one of the tenant's secrets."""
    [(path, reference)] = read(workload_identity=IDENTITY).references()

    assert ("workload_identity.subject_token", "file /t") == (path, str(reference))


def test_values() -> None:
    """Durations, paths and dates are read."""
    settings = read(
        api_key=KEY,
        timeout={"connect": "5s"},
        tls={"ca": "/ca.pem"},
        rotated_at="2026-01-02T03:04:05Z",
    )

    assert settings.timeout is not None
    assert 5.0 == settings.timeout.connect
    assert Path("/ca.pem") == settings.tls.ca
    assert dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC) == settings.rotated_at


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("max_retries", {"max_retries": -1}),
        ("max_retries", {"max_retries": "hunter2"}),
        ("base_url", {"base_url": "hunter2"}),
        ("websocket_base_url", {"websocket_base_url": "https://hunter2"}),
        ("organization", {"organization": {"literal": "hunter2"}}),
        ("labels.team", {"labels": {"team": ["hunter2"]}}),
        ("http", {"http": "hunter2"}),
        ("hunter", {"hunter": "hunter2"}),
        (
            "workload_identity.subject_token",
            {"workload_identity": {**IDENTITY} | {"subject_token": "hunter2"}},
        ),
    ],
)
def test_wrong_values(path: str, said: dict[str, Any]) -> None:
    """What is wrong is told with its path, and never with its value."""
    assert path == fault(api_key=KEY, **said)[0]
