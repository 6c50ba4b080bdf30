from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from tenantry.errors import ConfigError
from tenantry.loading import load
from tenantry.sources import kinds

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tenantry.loading.rows import RowReader

KEY = {"env": "KEY"}
VAULT = {"vault": {"address": "https://vault.example", "auth": {"token": {"env": "T"}}}}
OPERATORS = {
    "base_url": "http://gateway.internal/v1",
    "api_key": {"vault": "tenants/{tenant}"},
    "default_headers": {"X-Key": {"command": ["print-key"]}},
}
ORIGIN = "postgres:tenants/acme"


def rows(environ: Mapping[str, str] | None = None, **config: Any) -> RowReader:
    whole = {"sources": VAULT, **config}
    return load(whole, environ=environ or {}, kinds=kinds(), tenants_needed=False).rows


def told(reader: RowReader, said: Mapping[str, Any], name: str = "acme") -> list[str]:
    try:
        reader.read(name, said, ORIGIN)
    except ConfigError as error:
        return [f"{each.path.removeprefix('tenants.')}: {each.message}" for each in error.problems]
    return []


def test_layers() -> None:
    """A row lies over defaults and profiles, and beneath variables, as a tenant of a file does."""
    defaults = {"timeout": 5, **OPERATORS}
    profiles = {"batch": {"max_retries": 5, "project": "batch"}}
    variables = {"TENANTRY_TENANTS__ACME_EU__ORGANIZATION": "org-variable"}
    reader = rows(variables, defaults=defaults, profiles=profiles)

    said = {"profile": "batch", "project": "row", "organization": "o", "timeout": {"read": 60}}
    tenant = reader.read("acme-eu", {**said, "endpoints": {"us": {"project": "us"}}}, ORIGIN)

    settings = tenant.settings
    assert ("row", "org-variable", 5) == (
        settings.project,
        settings.organization,
        settings.max_retries,
    )
    assert settings.timeout is not None
    assert (5.0, 60.0) == (settings.timeout.connect, settings.timeout.read)
    assert "vault tenants/acme-eu" == str(settings.api_key)
    assert "us" == tenant.endpoints["us"].project


def test_origin() -> None:
    """Every value that a row says, and every problem of it, is at the row's origin."""
    tenant = rows(defaults=OPERATORS).read("acme", {"project": "x", "pool": {}}, ORIGIN)
    with pytest.raises(ConfigError) as caught:
        rows(defaults=OPERATORS).read("acme", {"pool": {"max_connections": 0}}, ORIGIN)

    merged = tenant.said[""]
    assert [ORIGIN] * 3 == [str(merged.site), *(str(merged.sites[key]) for key in said_by(merged))]
    assert [("tenants.acme.pool.max_connections", ORIGIN)] == [
        (each.path, str(each.site)) for each in caught.value.problems
    ]


def said_by(merged: Mapping[str, Any]) -> list[str]:
    return [key for key in merged if key in ("project", "pool")]


def test_name() -> None:
    """A row's name has to be one that a file could say."""
    message = "a tenant's name is 1 to 128 letters, digits and ._- without `..`"

    assert [f"a/b: {message}"] == told(rows(defaults=OPERATORS), {}, "a/b")


def test_everything_at_once() -> None:
    """Every problem of a row is told at once."""
    said = {"timeuot": 5, "project": "${X}", "inherit_environment": True, "profile": "p"}

    assert {"acme", "acme.timeuot", "acme.project", "acme.inherit_environment", "acme.profile"} == {
        each.partition(": ")[0] for each in told(rows(), said)
    }


def test_placeholders() -> None:
    """A row's own words are filled in where a file's would be."""
    reader = rows(allow={"secrets": {"vault": ["teams/*"]}})
    said = {"labels": {"team": "blue"}, "api_key": {"vault": "teams/{labels.team}"}}

    assert "vault teams/blue" == str(reader.read("acme", said, ORIGIN).settings.api_key)


def test_what_operators_say() -> None:
    """What defaults and profiles say is allowed, whatever `allow` says."""
    allow = {"origins": ["https://nowhere.example"], "secrets": {"vault": [], "command": []}}
    profiles = {"p": {**OPERATORS, "tls": {"verify": False, "certificate": "/etc/client.pem"}}}

    assert [] == told(rows(defaults=OPERATORS, allow=allow), {"project": "x"})
    assert [] == told(rows(profiles=profiles, allow=allow), {"profile": "p"})


@pytest.mark.parametrize(
    ("said", "path", "shown"),
    [
        ({"base_url": "https://evil.io/v1"}, "base_url", "https://evil.io"),
        ({"base_url": "http://127.0.0.1:1/v1"}, "base_url", "http://127.0.0.1:1"),
        ({"websocket_base_url": "wss://evil.io"}, "websocket_base_url", "https://evil.io"),
        ({"proxy": "http://evil.io:8080"}, "proxy", "http://evil.io:8080"),
        ({"endpoints": {"us": {"base_url": "https://evil.io"}}}, "base_url", "https://evil.io"),
    ],
)
def test_origins(said: dict[str, Any], path: str, shown: str) -> None:
    """A row names an origin only where `allow` does, whether `allow` speaks of origins or not."""
    expected = [f"acme.{path}: {shown} is not among allow.origins"]

    assert expected == told(rows(defaults=OPERATORS), said)
    assert expected == told(rows(defaults=OPERATORS, allow={"origins": ["https://x.y"]}), said)
    assert [] == told(rows(defaults=OPERATORS, allow={"origins": [shown]}), said)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ({"base_url": None}, "https://api.openai.com"),
        ({"data_residency": "eu"}, "https://eu.api.openai.com"),
        ({"data_residency": "global"}, "https://api.openai.com"),
        ({"profile": None}, "https://api.openai.com"),
        ({"profile": []}, "https://api.openai.com"),
    ],
)
def test_taking_an_address_away(said: dict[str, Any], shown: str) -> None:
    """A row does not lead requests to OpenAI itself where its operators lead them elsewhere."""
    profiles = {"gateway": {"base_url": "https://gateway.example"}}
    config: dict[str, Any] = {
        "profiles": profiles,
        "defaults": {"api_key": KEY, "profile": "gateway"},
    }
    expected = [f"acme: {shown} is not among allow.origins"]

    assert expected == told(rows(**config), said)
    assert [] == told(rows(**config, allow={"origins": [shown]}), said)


def test_other_provider() -> None:
    """A row that leaves azure leaves its address too, and needs leave for that."""
    azure = {"provider": "azure", "azure_endpoint": "https://a.example", "api_version": "x"}
    reader = rows(defaults={**azure, "api_key": KEY})

    assert ["acme: https://api.openai.com is not among allow.origins"] == told(
        reader, {"provider": "openai"}
    )
    assert [] == told(reader, {"project": "x"})


def test_address_of_an_endpoint() -> None:
    """An endpoint of a row does not take an address away either."""
    said = {"endpoints": {"us": {"base_url": None}}}

    assert ["acme.endpoints.us: https://api.openai.com is not among allow.origins"] == told(
        rows(defaults=OPERATORS), said
    )


@pytest.mark.parametrize(
    ("source", "reference"),
    [
        ("vault", {"vault": "tenants/acme"}),
        ("env", {"env": "KEY"}),
        ("file", {"file": "/run/key"}),
        ("command", {"command": ["print-key"]}),
        ("literal", {"literal": "sk-1"}),
        ("literal", SecretStr("sk-1")),
        ("python", lambda: "sk-1"),
        ("env", {"first_of": [{"env": "KEY"}]}),
    ],
)
def test_secrets(source: str, reference: object) -> None:
    """A row names a source only where `allow.secrets` has a line of its own for it."""
    expected = [f"acme.api_key: source {source} is not named in allow.secrets"]
    others = {"secrets": {name: ["*"] for name in ("vault", "env", "file") if name != source}}

    assert expected == told(rows(), {"api_key": reference})
    assert expected == told(rows(allow=others), {"api_key": reference})


@pytest.mark.parametrize(
    ("pattern", "reference"),
    [
        ({"vault": ["tenants/{tenant}"]}, {"vault": "tenants/acme"}),
        ({"env": ["KEY"]}, {"first_of": [{"env": "KEY"}]}),
        ({"literal": ["*"]}, SecretStr("sk-1")),
    ],
)
def test_allowed_secrets(pattern: dict[str, list[str]], reference: object) -> None:
    """What a line of `allow.secrets` names, a row may."""
    assert [] == told(rows(allow={"secrets": pattern}), {"api_key": reference})


def test_other_locators() -> None:
    """Another tenant's locator is none of this row's."""
    reader = rows(allow={"secrets": {"vault": ["tenants/{tenant}"]}})

    assert ["acme.api_key: vault tenants/globex is not among allow.secrets.vault"] == told(
        reader, {"api_key": {"vault": "tenants/globex"}}
    )


@pytest.mark.parametrize("key", ["ca", "certificate"])
def test_files_of_tls(key: str) -> None:
    """A path in `tls` points into a file, and is one of the files that `allow` names or none."""
    said = {"tls": {key: "/etc/other.pem"}}
    reader = rows(defaults=OPERATORS, allow={"secrets": {"file": ["/run/*"]}})

    assert [f"acme.tls.{key}: source file is not named in allow.secrets"] == told(
        rows(defaults=OPERATORS), said
    )
    assert [f"acme.tls.{key}: file /etc/other.pem is not among allow.secrets.file"] == told(
        reader, said
    )
    assert [] == told(reader, {"tls": {key: "/run/acme.pem"}})


@pytest.mark.parametrize("verify", [False, "no", 0])
def test_verification(verify: object) -> None:
    """A row cannot turn the verification of certificates off, whatever `allow` says."""
    allow = {"origins": ["https://*"], "secrets": {"env": ["*"]}}

    assert ["acme.tls.verify: a row may not turn verification off"] == told(
        rows(defaults=OPERATORS, allow=allow), {"tls": {"verify": verify}}
    )


@pytest.mark.parametrize(
    "said",
    [
        {"project": "a${X}"},
        {"labels": {"a": "${X:-y}"}},
        {"api_key": {"vault": {"path": "${X}"}}},
        {"endpoints": {"us": {"project": "${X}"}}},
        {"default_headers": {"${X}": "a"}},
        {"profile": ["${X}"]},
    ],
)
def test_variables(said: dict[str, Any]) -> None:
    """A row takes nothing from the environment."""
    reader = rows({"X": "x"}, defaults=OPERATORS)

    assert [message for message in told(reader, said) if "is filled in in files only" in message]


@pytest.mark.parametrize("said", [True, "yes", None])
def test_inheriting(said: object) -> None:
    """A row does not inherit the process's environment; saying so does no harm."""
    environ = {"OPENAI_API_KEY": "sk-1"}
    reader = rows(environ, defaults=OPERATORS)

    assert "acme.inherit_environment: a row may not inherit the environment of the process" in (
        told(reader, {"inherit_environment": said})
    )
    assert [] == told(reader, {"inherit_environment": False})


def test_lone_surrogates() -> None:
    """What is no text is refused, and not shown."""
    message = "has a character that no text can have (not shown)"

    assert f"acme.project: {message}" in told(rows(defaults=OPERATORS), {"project": "\udc80"})


def nested(depth: int) -> dict[str, Any]:
    return {"labels": nested(depth - 1)} if depth else {}


def test_bounds() -> None:
    """A row that is too deep, too wide, or goes round in a circle is refused at once."""
    circle: dict[str, Any] = {}
    circle["labels"] = circle
    bomb: list[Any] = []
    for _ in range(60):
        bomb = [bomb] * 10
    reader = rows(defaults=OPERATORS)

    assert ["acme: nested deeper than 64 levels"] == told(reader, nested(70))
    assert ["acme: nested deeper than 64 levels"] == told(reader, circle)
    assert ["acme: more than 10000 values"] == told(reader, {"labels": ["x"] * 20_000})
    assert ["acme: more than 10000 values"] == told(reader, {"labels": bomb})
    assert ["acme: a number of more than 64 bits"] == told(reader, {"timeout": 10**400})


def test_no_credential() -> None:
    """A row that says nothing, over defaults that say nothing, has no credential."""
    with pytest.raises(ConfigError) as caught:
        rows().read("acme", {}, ORIGIN)

    assert [("tenants.acme", ORIGIN)] == [
        (each.path, str(each.site)) for each in caught.value.problems
    ]
