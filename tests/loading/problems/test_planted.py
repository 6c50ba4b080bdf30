"""A secret in a wrong place is in no text of the error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.loading.problems.conftest import by_tenant, found

from tenantry.errors import Problem
from tenantry.loading.problems import without_repeats

if TYPE_CHECKING:
    from pathlib import Path

PLANTED = [
    "api_key: hunter2",
    "api_key: [hunter2]",
    "api_key: {hunter2}",
    "api_key: {hunter2: }",
    "api_key: {env: X, literal: hunter2}",
    "api_key: {env: {hunter2}}",
    "api_key: {env: {name: X, nmae: hunter2}}",
    "api_key: {literal: {hunter2}}",
    "api_key: {literal: [hunter2]}",
    "api_key: {literal: *hunter2}",
    "api_key: {nothing: hunter2}",
    "api_key: {first_of: [hunter2, {env: {hunter2}}]}",
    "api_key: ${hunter2-x}",
    "api_key: '${1hunter2}'",
    "api_key:\n      literal:\n        {hunter2}",
    "api_key:\n      literal: >\n        hunter2\n        bad: x\n       worse: [",
    "api_key: 'hunter2",
    "api_key:\n      hunter2: [\n",
    "webhook_secret: hunter2",
    "organization: {literal: hunter2}",
    "base_url: https://user:hunter2@x.example",
    "proxy: http://user:hunter2@x.example",
    "default_headers: {Authorization: Bearer hunter2}",
    "default_headers: {Authorization: {Bearer hunter2}}",
    "default_headers:\n      X-Any: [hunter2]",
    "default_headers:\n      X-Any: hünter",
    "default_headers:\n      X-Any: {hunter2}",
    "default_headers: hunter2",
    "default_query:\n      code: [hunter2]",
    "workload_identity: {subject_token: hunter2}",
    "endpoints: {us: {api_key: hunter2}}",
]

# What stands where no secret belongs is recognised by its looks.
PLANTED += [
    "profile: {A1_hunter2-wX9kLr27}",
    "provider: A1_hunter2-wX9kLr27",
    "timeout: A1_hunter2-wX9kLr27",
    "timeout: {read: A1_hunter2-wX9kLr27}",
    "max_retries: A1_hunter2-wX9kLr27",
    "rotated_at: A1_hunter2-wX9kLr27",
    "labels: [A1_hunter2-wX9kLr27]",
    "endpoints: A1_hunter2-wX9kLr27",
]


@pytest.mark.parametrize("said", PLANTED)
def test_planted_secrets(tmp_path: Path, said: str) -> None:
    """A secret in a wrong place is in no text of the error."""
    assert by_tenant(tmp_path, said)


@pytest.mark.parametrize("said", PLANTED)
@pytest.mark.parametrize("layer", ["defaults", "profiles:\n  p"])
def test_planted_secrets_of_all(tmp_path: Path, layer: str, said: str) -> None:
    """Nor is one that stands in defaults or profiles."""
    assert found(tmp_path, f"tenants: {{acme: {{}}}}\n{layer}:\n    {said}\n")


@pytest.mark.parametrize(
    "said",
    [
        "vault: {auth: {token: hunter2}}",
        "vault: {auth: hunter2}",
        "vault: {auth: {token: {hunter2}}}",
        "vault: {auth: {approle: {role_id: r, secret_id: hunter2}}}",
        "vault: {type: {literal: hunter2}}",
        "vault: A1_hunter2-wX9kLr27",
        "entra: {auth: hunter2}",
        "entra: {auth: {client_secret: {client_secret: hunter2}}}",
        "entra: {auth: {client_secret: hunter2}}",
    ],
)
def test_planted_secrets_of_sources(tmp_path: Path, said: str) -> None:
    """Nor is one that stands in a source."""
    assert found(tmp_path, f"sources:\n  {said}\n")


@pytest.mark.parametrize(
    "name",
    [
        "TENANTS__ACME",
        "TENANTS__ACME__PROVIDER",
        "TENANTS__ACME__API_KEY__ENV__X",
        "TENANTS__ACME__DEFAULT_HEADERS",
        "TENANTS__ACME__TIMEOUT",
        "TENANTS__ACNE__API_KEY",
        "TENANT__ACME__API_KEY",
        "SOURCES__VAULT__AUTH",
        "SOURCES__ENTRA__AUTH__CLIENT_SECRET",
        "PROFILES__P",
        "DEFAULTS__BASE_URL",
        "REGISTRY__ON_PROBLEM",
    ],
)
@pytest.mark.parametrize("value", ["hunter2", "{hunter2", "[hunter2]", "*hunter2"])
def test_planted_secrets_of_variables(tmp_path: Path, name: str, value: str) -> None:
    """Nor is one that a variable says."""
    text = "tenants: {acme: {api_key: 5}}"

    assert found(tmp_path, text, **{f"TENANTRY_{name}": value})


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("sk-proj-4Rt5Yu6Io", "(not shown)"),
        ("hvs.CAESI4Rt5", "(not shown)"),
        ("eyJhbGciOi.4Rt5.x", "(not shown)"),
        ("sk-telecom-korea", "'sk-telecom-korea'"),
        ("task-4Rt5Yu6Io", "'task-4Rt5Yu6Io'"),
    ],
)
def test_names_that_are_keys(key: str, told: str) -> None:
    """A key of the known makes that stands where a name belongs is not told."""
    problem = Problem(f"unknown profile {key!r}", f"tenants.{key}.profile", hint=f"not {key!r}")
    [shown] = without_repeats([problem])

    assert (f"unknown profile {told}", f"not {told}") == (shown.message, shown.hint)
    assert (key in shown.path) == (key in told)
