from __future__ import annotations

import contextlib
import gc
from pathlib import Path
from typing import Any

import pytest

from tenantry.errors import ConfigError, Problem, Site
from tenantry.loading import Config, Configuration, load, paths_of, read_contents
from tenantry.settings import Settings
from tenantry.sources import kinds

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
        ({"version": 2}, "version", "has to be 1"),
        ({"allow": None}, "allow", "is not a mapping"),
        ({"defaults": 5}, "defaults", "is not a mapping"),
        ({"profiles": {"p": 5}}, "profiles.p", "is not a mapping"),
        ({"tenants": [1]}, "tenants", "is not a mapping"),
        ({"x": 1}, "x", "unknown key 'x'"),
        ({"catalog": "redis"}, "catalog", "has to be 'files', or a mapping with an engine"),
    ],
)
def test_stopping(config: dict[str, Any], path: str, message: str) -> None:
    """A mistake outside of tenants stops everything."""
    problems = stopping({"tenants": {"acme": GOOD}, **config})

    assert (path, message) == (problems[0].path, problems[0].message)


def test_all_at_once() -> None:
    """Everything that is wrong is told at once, outside of tenants and inside."""
    config = {"version": 2, "defaults": {"x": 1}, "tenants": {"acme": GOOD, "bad": {"y": 1}}}

    assert {"version", "defaults.x", "tenants.bad", "tenants.bad.y"} == {
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
        "tenants:\n  b:\n    timeuot: 5\n    api_key: {env: A}\n"
        "  a:\n    api_key: {env: A}\n    polo: 1\nversoin: 1\n"
    )

    error = ConfigError(*stopping(file))

    assert (
        f"3 problems in the configuration\n"
        f"{file}:3:5: tenants.b.timeuot: unknown key 'timeuot'\n"
        f"        timeuot: 5\n"
        f"        ^\n"
        f"    did you mean 'timeout'?\n"
        f"{file}:7:5: tenants.a.polo: unknown key 'polo'\n"
        f"        polo: 1\n"
        f"        ^\n"
        f"    did you mean 'pool'?\n"
        f"{file}:8:1: versoin: unknown key 'versoin'\n"
        f"    versoin: 1\n"
        f"    ^\n"
        f"    did you mean 'version'?"
    ) == str(error)


def test_many_tenants() -> None:
    """A mistake in the defaults of many tenants is one problem."""
    config = {"defaults": {"x": 1}, "tenants": {f"t{n}": GOOD for n in range(500)}}

    assert ["defaults.x"] == [problem.path for problem in stopping(config)]


def test_contents(tmp_path: Path) -> None:
    """What is loaded from contents is what they held, whatever the disk holds by then."""
    file = tmp_path / "tenantry.yaml"
    file.write_text("tenants: {acme: {api_key: {env: KEY}}}")
    contents = read_contents(paths_of(tmp_path))
    file.unlink()
    configuration = load(tmp_path, environ={}, kinds=kinds(), contents=contents)

    assert (["acme"], (file,)) == (list(configuration.tenants), configuration.files)


def test_paths() -> None:
    """A configuration is read from the paths that it names; one in code, or none, from nowhere."""
    assert (Path("a"), Path("b")) == paths_of(["a", Path("b")])
    assert [(Path("a"),)] * 2 == [paths_of("a"), paths_of(Path("a"))]
    assert [()] * 3 == [paths_of(None), paths_of({}), paths_of(Settings())]


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("config", [{"tenants": {"acme": GOOD}}, {"tenants": {}}])
def test_garbage_collector(config: dict[str, Any], enabled: bool) -> None:
    """Loading leaves the garbage collector as it was, after an error too."""
    was = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with contextlib.suppress(ConfigError):
            load(config, environ={}, kinds=kinds())
        assert enabled == gc.isenabled()
    finally:
        (gc.enable if was else gc.disable)()


def test_several_files(tmp_path: Path) -> None:
    """Every value keeps the file that said it, whichever file the tenant stands in."""
    main, other = tmp_path / "tenantry.yaml", tmp_path / "b.yaml"
    main.write_text(
        "defaults:\n  api_key: {env: KEY}\n  timeout: {read: 5}\ntenants: {a: , b: {project: x}}\n"
    )
    other.write_text("tenants:\n  c: {project: x, timeout: {connect: 1}}\n  d:\n")
    tenants = read(tmp_path).tenants

    assert dict.fromkeys("abcd", f"{main}:2:3") == {
        name: str(tenant.said[""].sites["api_key"]) for name, tenant in tenants.items()
    }
    assert [f"{main}:4:20", f"{other}:2:7"] == [
        str(tenants[name].said[""].sites["project"]) for name in "bc"
    ]
    merged = tenants["c"].said[""]["timeout"]
    assert [f"{main}:3:13", f"{other}:2:29"] == [str(site) for site in merged.sites.values()]
    assert [f"{main}:4:11", f"{other}:3:3"] == [str(tenants[name].said[""].site) for name in "ad"]


def test_many_broken_tenants(tmp_path: Path) -> None:
    """Thousands of mistakes are told in the time that reading takes, each with its line."""
    file = tmp_path / "t.yaml"
    broken = "".join(f"  t{n}: {{project: '${{MISSING}}', timeuot: 1}}\n" for n in range(3_000))
    file.write_text(f"defaults: {{api_key: {{env: KEY}}}}\ntenants:\n{broken}  good: {{}}\n")
    quarantined = read(file).quarantined

    assert 3_000 == len(quarantined)
    assert {2} == {len(problems) for problems in quarantined.values()}


def test_parts_that_tenants_share() -> None:
    """Tenants that say the same share what was read; 1, true and 1.0 are not the same."""
    said: list[Any] = [5, 5, True, 5.0, "5s"]
    tenants = {f"t{n}": {**GOOD, "timeout": {"read": read}} for n, read in enumerate(said)}
    configuration = read({"tenants": tenants})
    parts = [tenant.settings.timeout for tenant in configuration.tenants.values()]

    assert ["t2"] == list(configuration.quarantined)
    assert parts[0] is parts[1]
    assert [5.0] * 4 == [part.read for part in parts if part is not None]
