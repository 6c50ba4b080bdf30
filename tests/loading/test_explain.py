from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from tenantry.loading import Setting, explain, load
from tenantry.secret import REDACTED
from tenantry.settings import TenantSettings
from tenantry.sources import kinds

if TYPE_CHECKING:
    from pathlib import Path

GOOD = {"api_key": {"env": "KEY"}}


def explained(said: dict[str, Any], endpoint: str = "", **environ: str) -> dict[str, Setting]:
    config = {"tenants": {"acme": {**GOOD, **said}}}
    tenant = load(config, environ=environ, kinds=kinds()).tenants["acme"]
    settings = explain(tenant, endpoint)
    assert "hunter2" not in repr(settings)
    return {setting.name: setting for setting in settings}


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("api_key", {"env": "KEY"}, "{env: KEY}"),
        ("api_key", {"literal": "hunter2"}, f"{{literal: {REDACTED}}}"),
        ("api_key", {"literal": {"value": "hunter2"}}, f"{{literal: {REDACTED}}}"),
        ("api_key", SecretStr("hunter2"), REDACTED),
        ("api_key", {"file": {"path": "/x", "field": "k"}}, "{file: {path: /x, field: k}}"),
        (
            "api_key",
            {"first_of": [{"env": "A"}, {"literal": "hunter2"}]},
            f"{{first_of: [{{env: A}}, {{literal: {REDACTED}}}]}}",
        ),
        ("api_key", {"command": ["/bin/key", "hunter2"]}, "{command: [/bin/key, ...]}"),
        (
            "api_key",
            {"command": {"argv": ["/bin/key"], "environment": {"TOKEN": "hunter2"}}},
            "{command: [/bin/key, ...]}",
        ),
        ("api_key", partial(str, "hunter2"), "partial"),
        ("api_key", {"python": partial(str, "hunter2")}, "{python: partial}"),
        ("api_key", {"python": explained}, "{python: explained}"),
        ("enabled", False, "false"),
        ("max_retries", 5, "5"),
        ("project", "p", "p"),
        ("labels", {}, "{}"),
    ],
)
def test_values(name: str, value: object, shown: str) -> None:
    """Values are shown as YAML would say them, secrets are not."""
    assert Setting(name, shown, "in code") == explained({name: value})[name]


@pytest.mark.parametrize("key", ["default_headers", "default_query"])
def test_headers_and_query(key: str) -> None:
    """Values of headers and query may be secrets and are not shown; references are."""
    settings = explained({key: {"a": "hunter2", "b": {"env": "X"}, "c": SecretStr("hunter2")}})

    assert {"a": REDACTED, "b": "{env: X}", "c": REDACTED} == {
        name: settings[f"{key}.{name}"].value for name in "abc"
    }


def test_mappings() -> None:
    """A mapping is shown key by key, each with its own place."""
    settings = explained(
        {"timeout": {"read": None}, "labels": {"team": "blue"}},
        TENANTRY_TENANTS__ACME__TIMEOUT__CONNECT="5s",
    )

    assert Setting("timeout.read", "null", "in code") == settings["timeout.read"]
    assert (
        Setting("timeout.connect", "5s", "env TENANTRY_TENANTS__ACME__TIMEOUT__CONNECT")
        == (settings["timeout.connect"])
    )
    assert Setting("labels.team", "blue", "in code") == settings["labels.team"]


def test_subject_token() -> None:
    """A workload identity is shown key by key, its subject token as a reference."""
    identity = {
        "identity_provider_id": "i",
        "service_account_id": "s",
        "subject_token": {"literal": "hunter2"},
    }
    settings = explained({"api_key": None, "workload_identity": identity})

    assert f"{{literal: {REDACTED}}}" == settings["workload_identity.subject_token"].value
    assert "i" == settings["workload_identity.identity_provider_id"].value


def test_secret_by_variable() -> None:
    """A secret that a variable says is not shown, its variable is."""
    name = "TENANTRY_TENANTS__ACME__API_KEY"

    assert (
        Setting("api_key", REDACTED, f"env {name}") == explained({}, **{name: "hunter2"})["api_key"]
    )


def test_origins(tmp_path: Path) -> None:
    """Every value is shown with the line, variable or default that set it."""
    file = tmp_path / "t.yaml"
    file.write_text(
        "defaults: {max_retries: 3, timeout: 5}\n"
        "profiles: {p: {organization: org}}\n"
        "tenants:\n"
        "  acme: {profile: p, inherit_environment: true, default_headers: {X-A: hunter2}}\n"
    )
    environ = {"OPENAI_API_KEY": "hunter2", "TENANTRY_TENANTS__ACME__PROJECT": "proj"}
    tenant = load(file, environ=environ, kinds=kinds()).tenants["acme"]
    settings = explain(tenant)

    assert {
        "max_retries": ("3", f"{file}:1:12"),
        "timeout.read": ("5", f"{file}:1:28"),
        "api_key": ("{env: OPENAI_API_KEY}", "env OPENAI_API_KEY"),
        "organization": ("org", f"{file}:2:16"),
        "inherit_environment": ("true", f"{file}:4:22"),
        "default_headers.X-A": (REDACTED, f"{file}:4:67"),
        "project": ("proj", "env TENANTRY_TENANTS__ACME__PROJECT"),
        "base_url": ("null", "default"),
        "tls": ("{verify: true}", "default"),
        "default_query": ("{}", "default"),
        "provider": ("openai", "default"),
    }.items() <= {each.name: (each.value, each.origin) for each in settings}.items()
    assert "hunter2" not in repr(settings)


def test_every_setting() -> None:
    """Every setting is there, said or by default; those by default come last."""
    settings = list(explained({"project": "p"}).values())
    names = [setting.name for setting in settings]

    assert set(TenantSettings.model_fields) == set(names)
    assert ["api_key", "project"] == names[:2]
    assert {"default"} == {setting.origin for setting in settings[2:]}


def test_endpoint() -> None:
    """An endpoint is explained with what the tenant says under it."""
    said = {"project": "p", "endpoints": {"us": {"organization": "o"}}}

    assert ("p", "o") == (
        explained(said, "us")["project"].value,
        explained(said, "us")["organization"].value,
    )
    assert "default" == explained(said)["organization"].origin
