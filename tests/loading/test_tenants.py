from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from tenantry.loading import Configuration, load
from tenantry.sources import kinds

KEY = {"env": "KEY"}
GOOD = {"api_key": KEY}


def read(config: object, **environ: str) -> Configuration:
    return load(config, environ=environ, kinds=kinds(), tenants_needed=False)  # type: ignore[arg-type]  # any mapping


def problems(tenants: object, **config: object) -> list[str]:
    found = read({"tenants": tenants, **config}).quarantined.values()
    return [f"{problem.path}: {problem.message}" for each in found for problem in each]


def test_tenant() -> None:
    """A tenant has its settings, those of its endpoints, and the places of all."""
    said = {**GOOD, "endpoints": {"us": {"project": "us"}, "eu": None}}
    tenant = read({"tenants": {"acme": said}}).tenants["acme"]

    assert ("acme", None) == (tenant.name, tenant.settings.project)
    assert {"us": "us", "eu": None} == {n: e.project for n, e in tenant.endpoints.items()}
    assert ["", "us", "eu"] == list(tenant.said)


def test_everything_from_defaults() -> None:
    """A tenant may say nothing."""
    tenant = read({"defaults": GOOD, "tenants": {"stark": None}}).tenants["stark"]

    assert "env KEY" == str(tenant.settings.api_key)


@pytest.mark.parametrize(
    ("endpoints", "problem"),
    [
        (5, ": is not a mapping"),
        ([], ": is not a mapping"),
        ({"us": 5}, ".us: is not a mapping"),
        ({"us/eu": {}}, ".us/eu: an endpoint's name is 1 to 128 letters, digits and ._-"),
        ({"": {}}, ".: an endpoint's name is 1 to 128 letters, digits and ._-"),
        ({"us": {"endpoints": {}}}, ".us.endpoints: endpoints is said of a tenant only"),
        ({"us": {"profile": "x"}}, ".us.profile: unknown profile 'x'"),
        ({"us": {"timeuot": 5}}, ".us.timeuot: unknown key 'timeuot'"),
        ({"us": {"api_version": "x"}}, ".us.api_version: api_version is for `provider: azure`, "),
    ],
)
def test_endpoints(endpoints: object, problem: str) -> None:
    """What is wrong with an endpoint quarantines its tenant, with its path."""
    [found] = problems({"acme": {**GOOD, "endpoints": endpoints}})

    assert found.startswith(f"tenants.acme.endpoints{problem}")


def test_everything_of_all_endpoints() -> None:
    """A tenant's mistakes are told once, with those of every endpoint."""
    said = {"timeuot": 5, "endpoints": {"us": {"wrong": 1}, "eu": {"api_key": "sk-hunter2"}}}
    found = problems({"acme": {**GOOD, **said}})

    assert [
        "tenants.acme.endpoints.eu.api_key",
        "tenants.acme.endpoints.us.wrong",
        "tenants.acme.timeuot",
    ] == sorted(text.partition(":")[0] for text in found)


def test_endpoint_without_credential() -> None:
    """An endpoint has to have a credential, whatever the tenant has."""
    [found] = problems({"acme": {**GOOD, "endpoints": {"us": {"api_key": None}}}})

    assert found.startswith("tenants.acme.endpoints.us: no credential: say one of api_key")


def test_environment_alone() -> None:
    """Without files variables define tenants, profiles, defaults, sources and endpoints."""
    configuration = load(
        None,
        environ={
            "TENANTRY_DEFAULTS__API_KEY__VAULT": "tenants/{tenant}",
            "TENANTRY_SOURCES__VAULT__ADDRESS": "https://vault.example",
            "TENANTRY_SOURCES__VAULT__AUTH__TOKEN_FILE": "/token",
            "TENANTRY_PROFILES__BATCH__MAX_RETRIES": "5",
            "TENANTRY_TENANTS__ACME__PROFILE": "batch",
            "TENANTRY_TENANTS__GLOBEX__API_KEY": "sk-hunter2",
            "TENANTRY_TENANTS__GLOBEX__ENDPOINTS__US__BASE_URL": "https://us.example/v1",
        },
        kinds=kinds(),
    )
    acme, globex = configuration.tenants.values()

    assert ("acme", "vault tenants/acme", 5) == (
        acme.name,
        str(acme.settings.api_key),
        acme.settings.max_retries,
    )
    assert "https://us.example/v1" == globex.endpoints["us"].base_url
    assert "literal (in the configuration)" == str(globex.settings.api_key)
    assert "hunter2" not in repr(configuration)


def test_secrets_from_code() -> None:
    """Code may say a SecretStr, a callable or a reference that was made before."""
    first = read({"tenants": {"acme": {"api_key": SecretStr("sk-hunter2")}}}).tenants["acme"]
    again = read({"tenants": {"acme": {"api_key": first.settings.api_key}}}).tenants["acme"]
    called = read({"tenants": {"acme": {"api_key": lambda: "sk-1"}}}).tenants["acme"]

    assert first.settings.api_key == again.settings.api_key
    assert "python <lambda>" == str(called.settings.api_key)


def test_labels_of_shared_layers() -> None:
    """A label that one tenant lacks is that tenant's mistake, wherever it is asked for."""
    config = {
        "defaults": {"api_key": {"env": "KEY_{labels.team}"}},
        "tenants": {"acme": {"labels": {"team": "BLUE"}}, "globex": {}},
    }
    configuration = read(config)

    assert "env KEY_BLUE" == str(configuration.tenants["acme"].settings.api_key)
    assert ["globex"] == list(configuration.quarantined)


AZURE = {"provider": "azure", "azure_endpoint": "https://a.example", "api_version": "2024-10-21"}


@pytest.mark.parametrize(("profile", "tenant"), [(1, 0), (0, 1), (1, 1)])
def test_keys_of_azure(profile: int, tenant: int) -> None:
    """What only azure has is a mistake of an openai tenant, in a profile too."""
    layers = [{"api_version": "2024-10-21"} if said else {} for said in (profile, tenant)]

    assert [
        "tenants.acme.api_version: api_version is for `provider: azure`, and this tenant is openai"
    ] == problems({"acme": {**GOOD, "profile": "p", **layers[1]}}, profiles={"p": layers[0]})


def test_keys_of_openai() -> None:
    """What only openai has is a mistake of an azure tenant."""
    identity = {"identity_provider_id": "i", "service_account_id": "s", "subject_token": KEY}

    [found] = problems({"acme": {**AZURE, "workload_identity": identity}})

    assert (
        "tenants.acme.workload_identity: workload_identity is for `provider: openai`,"
        " and this tenant is azure"
    ) == found


@pytest.mark.parametrize(
    ("tenant", "told"),
    [
        ({"timeuot": 5}, ["", ".timeuot"]),
        ({"provider": "azure", "timeout": "x", "api_key": KEY}, ["", ".timeout"]),
        ({"provider": "azure", "api_key": 5, "base_url": "x", "api_version": []}, None),
        ({"api_key": "sk-1", "timeuot": 5}, [".api_key", ".timeuot"]),
        ({"workload_identity": {}, "timeuot": 5}, None),
        ({"provider": "bedrock", "timeuot": 5}, [".provider", ".timeuot"]),
    ],
)
def test_what_is_missing_too(tenant: dict[str, Any], told: list[str] | None) -> None:
    """What is missing is told with what is wrong, but for what is missing because it is wrong."""
    found = {
        each.partition(": ")[0].removeprefix("tenants.acme") for each in problems({"acme": tenant})
    }

    assert "" not in found if told is None else set(told) <= found
    assert ("" in found) == (told is not None and "" in told)


def test_a_tenant_shows_no_secret() -> None:
    """What was said of it may hold a literal, which its repr does not."""
    said = {"tenants": {"acme": {"api_key": {"literal": "sk-planted-0123456789"}}}}
    tenant = load(said, environ={}, kinds=kinds()).tenants["acme"]
    assert "sk-planted" in str(tenant.said)
    assert "sk-planted" not in repr(tenant)
