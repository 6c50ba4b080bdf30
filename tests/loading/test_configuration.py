from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tenantry.errors import ConfigError, Problem, Site
from tenantry.loading import Config, Configuration, load
from tenantry.settings import Settings
from tenantry.sources import kinds

if TYPE_CHECKING:
    from pathlib import Path

KEY = {"env": "KEY"}
GOOD = {"api_key": KEY}


def read(config: Config | None, **environ: str) -> Configuration:
    return load(config, environ=environ, kinds=kinds())


def stopping(config: Config | None, **environ: str) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        read(config, **environ)
    return caught.value.problems


EXAMPLE = """\
# yaml-language-server: $schema=./tenantry.schema.json
version: 1
catalog: files
sources:
  vault:
    address: "${VAULT_ADDR}"
    namespace: team-a
    auth: {kubernetes: {role: tenantry}}
    tls: {ca: /etc/ssl/vault-ca.pem}
  vault-us:
    type: vault
    address: https://vault.us.example:8200
    auth: {approle: {role_id: "${ROLE_ID:-r}", secret_id: {file: /run/secrets/vault}}}
  entra: {auth: workload_identity}
allow:
  origins: ["https://api.openai.com", "https://*.openai.azure.com", "https://apim.contoso.com"]
  secrets: {vault: ["tenants/{tenant}", "legacy/{tenant}"], file: ["/run/secrets/{tenant}/*"]}
refresh: {every: 5m, max_stale: 24h, overlap: 1h, wait: 5s}
registry: {on_problem: fail}
x-pool: &pool {max_connections: 100}
defaults:
  timeout: {connect: 5s, read: 10m}
  pool: {<<: *pool, max_keepalive_connections: 20}
  api_key: {vault: "tenants/{tenant}"}
profiles:
  azure-eu:
    provider: azure
    azure_endpoint: https://contoso-eu.openai.azure.com
    api_version: 2024-10-21
    azure_ad_token_provider: {entra: {}}
  azure-us: {profile: azure-eu, azure_endpoint: "https://contoso-us.openai.azure.com"}
  apim:
    base_url: https://apim.contoso.com/openai/v1/
    default_headers: {Ocp-Apim-Subscription-Key: {vault: {path: "apim/{tenant}", field: key}}}
  batch: {timeout: {read: 1h}, max_retries: 5}
tenants:
  acme: {organization: org-acme, webhook_secret: {vault: "tenants/{tenant}"}}
  globex: {profile: azure-eu, endpoints: {us: {profile: azure-us}}}
  initech: {api_key: {env: KEY_INITECH}, webhook_secret: {file: /run/secrets/initech/webhook}}
  umbrella: {profile: [apim, batch], default_headers: {X-Team: blue}}
  wonka: {api_key: {first_of: [{vault: {path: "legacy/{tenant}", field: key}}, {env: KEY_WONKA}]}}
  stark:
  dev: {inherit_environment: true}
"""


def test_example(tmp_path: Path) -> None:
    """A whole configuration becomes tenants, sources and settings of the process."""
    file = tmp_path / "tenantry.yaml"
    file.write_text(EXAMPLE)
    configuration = read(file, VAULT_ADDR="https://vault.example", OPENAI_API_KEY="sk-1")
    tenants = configuration.tenants

    assert {"vault", "vault-us", "entra"} == set(configuration.sources)
    assert ("fail", {}) == (configuration.registry.on_problem, configuration.quarantined)
    assert (file,) == configuration.files
    assert {
        "acme": "vault tenants/acme",
        "globex": "None",
        "initech": "env KEY_INITECH",
        "umbrella": "vault tenants/umbrella",
        "wonka": "first_of vault legacy/wonka, env KEY_WONKA",
        "stark": "vault tenants/stark",
        "dev": "env OPENAI_API_KEY",
    } == {name: str(tenant.settings.api_key) for name, tenant in tenants.items()}
    globex = tenants["globex"]
    assert "2024-10-21" == globex.settings.api_version
    assert "https://contoso-us.openai.azure.com" == globex.endpoints["us"].azure_endpoint
    umbrella = tenants["umbrella"].settings
    assert umbrella.timeout is not None
    assert (5.0, 3600.0, 5) == (
        umbrella.timeout.connect,
        umbrella.timeout.read,
        umbrella.max_retries,
    )
    assert ["vault apim/umbrella", "blue"] == [
        str(value) for value in umbrella.default_headers.values()
    ]
    assert 100 == tenants["stark"].settings.pool.max_connections


def test_kinds_of_input(tmp_path: Path) -> None:
    """A file, a directory, several paths, a mapping and Settings say the same."""
    file = tmp_path / "tenantry.yaml"
    file.write_text("tenants: {acme: {api_key: {env: KEY}}}")
    said = {"tenants": {"acme": GOOD}}
    inputs: list[Config] = [file, str(file), tmp_path, [file], [str(tmp_path)], said]
    inputs.append(Settings.model_validate(said))

    settings = [read(config).tenants["acme"].settings for config in inputs]

    assert [settings[0]] * len(inputs) == settings


def test_settings_with_references() -> None:
    """Settings may hold what validation made before."""
    reference = read({"tenants": {"acme": GOOD}}).tenants["acme"].settings.api_key
    settings = Settings(
        tenants={"acme": {"api_key": reference}},
        allow={"secrets": {"env": ["KEY"]}},
    )

    assert reference == read(settings).tenants["acme"].settings.api_key


def test_mapping_is_not_expanded() -> None:
    """`${NAME}` is for files: in code it is a text."""
    assert (
        "${X}"
        == read({"tenants": {"acme": {**GOOD, "project": "${X}"}}}).tenants["acme"].settings.project
    )


def test_variables_over_files() -> None:
    """Variables lie over everything in the files, and are told as the place of a mistake."""
    config: Any = {"tenants": {"acme": GOOD}, "registry": {"on_problem": "fail"}}

    quarantining = read(config, TENANTRY_REGISTRY__ON_PROBLEM="quarantine")
    [problem] = stopping(config, TENANTRY_REFRESH__EVERY="often")

    assert "quarantine" == quarantining.registry.on_problem
    assert ("refresh.every", "env TENANTRY_REFRESH__EVERY") == (problem.path, str(problem.site))


@pytest.mark.parametrize("key", ["defaults", "profiles", "sources"])
def test_empty_layers(key: str) -> None:
    """A key with nothing under it says nothing; a variable may fill it."""
    config = {key: None, "tenants": {"acme": GOOD}}

    assert ["acme"] == list(read(config).tenants)
    filled = read({"defaults": None, "tenants": {"acme": GOOD}}, TENANTRY_DEFAULTS__PROJECT="p")
    assert "p" == filled.tenants["acme"].settings.project


@pytest.mark.parametrize(
    ("config", "path", "message"),
    [
        ({"version": 2}, "version", "Input should be 1"),
        ({"allow": None}, "allow", "is not a mapping"),
        ({"defaults": 5}, "defaults", "is not a mapping"),
        ({"profiles": {"p": 5}}, "profiles.p", "is not a mapping"),
        ({"tenants": [1]}, "tenants", "is not a mapping"),
        ({"x": 1}, "x", "unknown key 'x'"),
        ({"catalog": "redis"}, "catalog", "Input should be 'files'"),
    ],
)
def test_stopping(config: dict[str, Any], path: str, message: str) -> None:
    """A mistake outside of tenants stops everything."""
    problems = stopping({"tenants": {"acme": GOOD}, **config})

    assert (path, message) == (problems[0].path, problems[0].message)


def test_all_at_once() -> None:
    """Everything that is wrong is told at once, outside of tenants and inside."""
    config = {"version": 2, "defaults": {"x": 1}, "tenants": {"acme": GOOD, "bad": {"y": 1}}}

    assert {"version", "defaults.x", "tenants.bad.y"} == {
        problem.path for problem in stopping(config)
    }


def test_quarantine() -> None:
    """A tenant's own mistake stops nothing while there is another tenant."""
    configuration = read({"tenants": {"acme": GOOD, "bad": {**GOOD, "x": 1}}})

    assert (["acme"], ["bad"]) == (list(configuration.tenants), list(configuration.quarantined))


def test_no_usable_tenant() -> None:
    """Without a usable tenant the mistakes of all are the error."""
    [problem] = stopping({"tenants": {"bad": {**GOOD, "x": 1}}})

    assert "tenants.bad.x" == problem.path


def test_on_problem_fail() -> None:
    """With `on_problem: fail` every mistake stops everything."""
    config = {
        "registry": {"on_problem": "fail"},
        "tenants": {"acme": GOOD, "bad": {**GOOD, "x": 1}},
    }

    assert ["tenants.bad.x"] == [problem.path for problem in stopping(config)]


HINT = "say them under `tenants:`, or as variables such as TENANTRY_TENANTS__ACME__API_KEY"


def test_no_tenants(tmp_path: Path) -> None:
    """A configuration without tenants is an error that says how to define one."""
    file = tmp_path / "empty.yaml"
    file.write_text("# nothing yet\n")

    message = "the configuration has no tenants"
    assert (Problem(message, "tenants", Site(str(file)), HINT),) == stopping(file)
    assert (Problem(message, "tenants", None, HINT),) == stopping(None)
    assert (Problem(message, "tenants", None, HINT),) == stopping({"tenants": None})


def test_tenants_from_elsewhere() -> None:
    """A configuration whose tenants come from a catalog needs none."""
    configuration = load({}, environ={}, kinds=kinds(), tenants_needed=False)

    assert ({}, {}) == (configuration.tenants, configuration.quarantined)


def test_syntax_error_stops(tmp_path: Path) -> None:
    """A file that is not YAML stops everything, for nobody knows what it was to say."""
    (tmp_path / "a.yaml").write_text("tenants: {acme: {api_key: {env: A}}}")
    (tmp_path / "b.yaml").write_text("tenants:\n  globex: {api_key: {vault: t/{tenant}}}\n")
    [problem] = stopping(tmp_path)

    assert problem.message.startswith("not YAML: ")
    assert 'quote it: "${NAME}", "{tenant}"' == problem.hint


def test_order_and_excerpts(tmp_path: Path) -> None:
    """Problems come in the order of the file, each once, with its line."""
    file = tmp_path / "t.yaml"
    file.write_text(
        "tenants:\n  b:\n    timeuot: 5\n    api_key: {env: A}\n  a:\n    polo: 1\nversoin: 1\n"
    )

    error = ConfigError(*stopping(file))

    assert (
        f"3 problems in the configuration\n"
        f"{file}:3:5: tenants.b.timeuot: unknown key 'timeuot'\n"
        f"        timeuot: 5\n"
        f"        ^\n"
        f"    did you mean 'timeout'?\n"
        f"{file}:6:5: tenants.a.polo: unknown key 'polo'\n"
        f"        polo: 1\n"
        f"        ^\n"
        f"    did you mean 'pool'?\n"
        f"{file}:7:1: versoin: unknown key 'versoin'\n"
        f"    versoin: 1\n"
        f"    ^\n"
        f"    did you mean 'version'?"
    ) == str(error)


def test_many_tenants() -> None:
    """A mistake in the defaults of many tenants is one problem."""
    config = {"defaults": {"x": 1}, "tenants": {f"t{n}": GOOD for n in range(500)}}

    assert ["defaults.x"] == [problem.path for problem in stopping(config)]
