from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from tenantry.errors import ConfigError, Problem, Site
from tenantry.loading import Configuration, load
from tenantry.loading.tenants import owner_of
from tenantry.sources import kinds

if TYPE_CHECKING:
    from pathlib import Path

KEY = {"env": "KEY"}
GOOD = {"api_key": KEY}


def read(config: object, **environ: str) -> Configuration:
    return load(config, environ=environ, kinds=kinds(), tenants_needed=False)  # type: ignore[arg-type]  # any mapping


def problems(tenants: object, **config: object) -> list[str]:
    found = read({"tenants": tenants, **config}).quarantined.values()
    return [f"{problem.path}: {problem.message}" for each in found for problem in each]


def stopping(config: object, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(config, **environ)
    return [f"{problem.path}: {problem.message}" for problem in caught.value.problems]


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


def test_one_does_not_break_another() -> None:
    """A tenant with a mistake is quarantined, with everything that is wrong; others are usable."""
    configuration = read({"tenants": {"acme": GOOD, "bad": {"timeuot": 5, "pool": 5}}})

    assert ["acme"] == list(configuration.tenants)
    assert ["tenants.bad.pool", "tenants.bad.timeuot"] == sorted(
        problem.path for problem in configuration.quarantined["bad"]
    )


@pytest.mark.parametrize(
    "name", ["a", "A1", "42", "acme.eu", "acme-eu_1", "x" * 128, "null", "0", "a.", "a-"]
)
def test_names(name: str) -> None:
    """A name is of letters, digits and `._-`, and begins with a letter or a digit."""
    assert [name] == list(read({"tenants": {name: GOOD}}).tenants)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a..b", "-a", "_a", ".a", "a b", "a/b", "ä", "a\n", "x" * 129, "a{b}"]
)
def test_bad_names(name: str) -> None:
    """A name that could leave a path is refused."""
    assert [
        f"tenants.{name}: a tenant's name is 1 to 128 letters, digits and ._- without `..`"
    ] == problems({name: GOOD})


@pytest.mark.parametrize("twin", ["ACME-EU", "acme_eu", "acme.EU"])
def test_folded_twins(twin: str) -> None:
    """Two names that could meet in one variable stop everything, and both places are named."""
    with pytest.raises(ConfigError) as caught:
        read({"tenants": {"acme-eu": GOOD, twin: GOOD}})

    [problem] = caught.value.problems
    assert (
        f"{twin!r} and 'acme-eu' are the same name once case and `-_.` are folded: two tenants"
        " could meet in one variable or file"
    ) == problem.message
    assert "'acme-eu' is at in code" == problem.hint


@pytest.mark.parametrize("said", [5, "", "sk-1", [], False, 0])
def test_mapping(said: object) -> None:
    """A tenant is a mapping; one that is not breaks no other."""
    configuration = read({"tenants": {"acme": GOOD, "bad": said}})

    assert ["acme"] == list(configuration.tenants)
    assert "is not a mapping" == configuration.quarantined["bad"][0].message


def test_mapping_by_variable() -> None:
    """A variable that is no mapping is told with its own name."""
    configuration = read({"tenants": {"acme": GOOD}}, TENANTRY_TENANTS__ACME="5")
    [problem] = configuration.quarantined["acme"]

    assert Problem("is not a mapping", "tenants.acme", Site("env TENANTRY_TENANTS__ACME")) == (
        problem
    )


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


BROKEN: list[tuple[str, dict[str, Any], str]] = [
    ("defaults", {"timeuot": 5}, "timeuot: unknown key 'timeuot'"),
    ("defaults", {"api_key": {"vault": "x"}}, "api_key: source 'vault' is not declared"),
    ("defaults", {"api_key": "hunter2"}, "api_key: is a secret reference, not a plain value"),
    ("defaults", {"timeout": "soon"}, "timeout.connect: is not a duration"),
    ("profiles.p", {"max_retries": "x"}, "max_retries: is not a whole number"),
    ("profiles.p", {"default_headers": {"Authorization": "x"}}, "default_headers: header Author"),
    ("profiles.p", {"base_url": "x"}, "base_url: is not an http(s) URL"),
]


@pytest.mark.parametrize(("path", "said", "problem"), BROKEN)
@pytest.mark.parametrize("tenants", [{}, {"acme": GOOD}, {"acme": {"profile": "p"}, "b": None}])
def test_shared_layers(
    path: str, said: dict[str, Any], problem: str, tenants: dict[str, Any]
) -> None:
    """A mistake of defaults or of a profile stops everything, and is told once for all."""
    layers = {"profiles": {"p": {}}, **({path: said} if path == "defaults" else {})}
    if path == "profiles.p":
        layers["profiles"] = {"p": said}
    found = stopping({**layers, "tenants": tenants})

    assert [text for text in found if problem in text] == [
        text for text in found if text.startswith(f"{path}.{problem}")
    ]
    assert any(text.startswith(f"{path}.{problem}") for text in found)


def test_shared_layers_may_be_partial() -> None:
    """What a tenant has to have need not stand in defaults or profiles."""
    layers = {"defaults": {"provider": "azure"}, "profiles": {"p": {"api_version": None}}}

    assert {} == read({**layers, "tenants": {}}).quarantined


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
    ("path", "owner"),
    [
        ("tenants.acme", "acme"),
        ("tenants.acme.timeout.read", "acme"),
        ("tenants.acme.eu", "acme.eu"),
        ("tenants.acme.eu.api_key", "acme.eu"),
        ("tenants.acmex.api_key", None),
        ("tenants", None),
        ("defaults.acme", None),
        ("acme", None),
        ("", None),
    ],
)
def test_owner(path: str, owner: str | None) -> None:
    """A problem belongs to the tenant whose name its path begins with, the longest one."""
    assert owner == owner_of(Problem("wrong", path), {"acme": {}, "acme.eu": {}})


@pytest.mark.parametrize(
    ("text", "broken"),
    [
        ("tenants: {acme: {api_key: {env: A}, timeout: 1, timeout: 2}, globex: GOOD}", "acme"),
        ("tenants: {acme: GOOD, globex: GOOD, acme: GOOD, umbrella: GOOD}", "acme"),
        ("tenants: {acme: GOOD, globex: {api_key: {env: '${MISSING}'}}}\nx-a: {b: 1}", "globex"),
        ("tenants: {acme: {<<: 5, api_key: {env: A}}, globex: GOOD}", "acme"),
        ("tenants: {acme: {<<: *none, api_key: {env: A}}, globex: GOOD}", "acme"),
    ],
)
def test_faults_of_yaml(tmp_path: Path, text: str, broken: str) -> None:
    """A fault that stands inside one tenant quarantines that tenant and no other."""
    file = tmp_path / "tenants.yaml"
    file.write_text(text.replace("GOOD", "{api_key: {env: A}}"))

    assert [broken] == list(read(file).quarantined)


@pytest.mark.parametrize(
    "text",
    [
        "tenants: {acme: {api_key: {env: A}}}\nx-later: {a: 1, a: 2}",
        "tenants: {acme: {api_key: {env: A}}}\ndefaults: {project: '${MISSING}'}",
        "tenants: {acme: {api_key: {env: A}}}\ndefaults: {}\ndefaults: {}",
        "tenants: {acme: {api_key: {env: A}}}\ntenants: {}",
    ],
)
def test_faults_elsewhere(tmp_path: Path, text: str) -> None:
    """A fault outside of tenants stops everything, wherever in the file it stands."""
    file = tmp_path / "tenants.yaml"
    file.write_text(text)

    assert 1 == len(stopping(file))


def test_said_in_two_files(tmp_path: Path) -> None:
    """A tenant that two files say is quarantined, and its neighbours in the files are not."""
    (tmp_path / "a.yaml").write_text("tenants: {acme: {api_key: {env: A}}}")
    (tmp_path / "b.yaml").write_text("tenants:\n  globex: {api_key: {env: A}}\n  acme: {}\n")
    configuration = read(tmp_path)
    [problem] = configuration.quarantined["acme"]

    assert ["globex"] == list(configuration.tenants)
    assert f"tenant 'acme' was said before, at {tmp_path}/a.yaml:1:11" == problem.message
    assert Site(f"{tmp_path}/b.yaml", 3, 3) == problem.site


def test_fault_of_a_variable() -> None:
    """A variable that is wrong for one tenant quarantines that tenant."""
    variable = {"TENANTRY_TENANTS__ACME__TIMEOUT": "[hunter2"}
    configuration = read({"tenants": {"acme": GOOD, "globex": GOOD}}, **variable)

    assert ["globex"] == list(configuration.tenants)
    assert "hunter2" not in repr(configuration.quarantined)
