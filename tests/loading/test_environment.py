from __future__ import annotations

from typing import Any

import pytest
from pydantic import SecretStr

from tenantry.errors import Problem, Site
from tenantry.loading.environment import expander, read_environment
from tenantry.loading.values import Sited, sited


def expanded(text: str, **environ: str) -> tuple[str, list[Problem]]:
    problems: list[Problem] = []
    return expander(environ, problems)(text, Site("f", 3, 1)), problems


def said(document: object = None, **variables: str) -> Any:
    value, problems = overlay(document, **variables)
    assert [] == problems
    return value


def overlay(document: object = None, **variables: str) -> tuple[Sited, list[Problem]]:
    problems: list[Problem] = []
    environ = {f"TENANTRY_{name}": value for name, value in variables.items()}
    return read_environment(environ, sited(document or {}), problems), problems


def revealed(value: object) -> object:
    assert isinstance(value, SecretStr)
    return value.get_secret_value()


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("${HOST}", "example.org"),
        ("https://${HOST}:${PORT}/", "https://example.org:8200/"),
        ("${MISSING:-there}", "there"),
        ("${EMPTY:-there}", "there"),
        ("${MISSING:-}", ""),
        ("${MISSING:-a:-b$c {d}", "a:-b$c {d"),
        ("${HOST:-there}", "example.org"),
        ("$HOST $ {HOST}", "$HOST $ {HOST}"),
    ],
)
def test_expander(text: str, filled: str) -> None:
    """`${NAME}` is the variable, `${NAME:-text}` falls back where it is not set or empty."""
    assert (filled, []) == expanded(text, HOST="example.org", PORT="8200", EMPTY="")


@pytest.mark.parametrize("name", ["MISSING", "EMPTY"])
def test_variable_not_set(name: str) -> None:
    """A variable without value and default is a problem that shows the default's spelling."""
    message = f"variable {name} is not set, or empty"
    hint = f"set it, or give a default: ${{{name}:-...}}"

    assert ("", [Problem(message, site=Site("f", 3, 1), hint=hint)]) == expanded(
        f"${{{name}}}", EMPTY=""
    )


def test_variable_that_is_no_text() -> None:
    """A variable whose bytes are not UTF-8 is a problem, and its value is not shown."""
    problem = Problem("variable BYTES is not UTF-8 (not shown)", site=Site("f", 3, 1))

    assert ("", [problem]) == expanded("${BYTES}", BYTES="hunter2\udc80")


@pytest.mark.parametrize(
    "text", ["${}", "${1X}", "${A-b}", "${A B}", "${A", "${sk-hunter2}", "${1X:-sk-hunter2}"]
)
def test_malformed_variable(text: str) -> None:
    """What names no variable is a problem that does not show what may be a secret."""
    message = "`${...}` (not shown) names no variable: write ${NAME} or ${NAME:-text}"

    assert ("", [Problem(message, site=Site("f", 3, 1))]) == expanded(text)


def test_path() -> None:
    """The path is joined by two underscores and set at any depth; values are YAML."""
    read = said(
        TENANTS__ACME__TIMEOUT="30",
        TENANTS__ACME__TIMEOUT_="x",
        REGISTRY__ON_PROBLEM="fail",
        SOURCES__VAULT__AUTH__KUBERNETES__ROLE="tenantry",
        DEFAULTS__POOL="{max_connections: 5}",
        ALLOW__ORIGINS="[https://api.openai.com]",
    )

    assert {
        "tenants": {"acme": {"timeout": 30, "timeout_": "x"}},
        "registry": {"on_problem": "fail"},
        "sources": {"vault": {"auth": {"kubernetes": {"role": "tenantry"}}}},
        "defaults": {"pool": {"max_connections": 5}},
        "allow": {"origins": ["https://api.openai.com"]},
    } == read
    assert Site("env TENANTRY_TENANTS__ACME__TIMEOUT") == read["tenants"]["acme"].sites["timeout"]


def test_folding() -> None:
    """Names fold case and `-_.` to those of the document, at every depth."""
    document: dict[str, Any] = {
        "tenants": {"Acme-EU.1": {"default_headers": {"X-Team": "a"}, "endpoints": {"us-1": {}}}},
        "profiles": {"azure-eu": {}},
        "sources": {"vault-us": {}},
    }
    read = said(
        document,
        TENANTS__ACME_EU_1__DEFAULT_HEADERS__X_TEAM="b",
        TENANTS__acme_eu_1__ENDPOINTS__US_1__MAX_RETRIES="3",
        PROFILES__AZURE_EU__MAX_RETRIES="1",
        SOURCES__VAULT_US__MOUNT="kv",
    )

    assert {
        "tenants": {
            "Acme-EU.1": {
                "default_headers": {"X-Team": "b"},
                "endpoints": {"us-1": {"max_retries": 3}},
            }
        },
        "profiles": {"azure-eu": {"max_retries": 1}},
        "sources": {"vault-us": {"mount": "kv"}},
    } == read


def test_header_names() -> None:
    """A header that the document does not say has hyphens, for underscores are not sent."""
    read = said(TENANTS__ACME__DEFAULT_HEADERS__X_TEAM="blue")

    assert {"x-team": "blue"} == read["tenants"]["acme"]["default_headers"]


@pytest.mark.parametrize(
    "path",
    [
        "TENANTS__ACME__API_KEY",
        "TENANTS__ACME__Api_Key",
        "TENANTS__ACME__ADMIN_API_KEY",
        "TENANTS__ACME__WEBHOOK_SECRET",
        "TENANTS__ACME__API_KEY__LITERAL",
        "TENANTS__ACME__WORKLOAD_IDENTITY__SUBJECT_TOKEN",
        "TENANTS__ACME__ENDPOINTS__US__AZURE_AD_TOKEN",
        "TENANTS__ACME__DEFAULT_HEADERS__AUTHORIZATION",
        "DEFAULTS__API_KEY",
        "PROFILES__AZURE__AZURE_AD_TOKEN_PROVIDER",
        "SOURCES__VAULT__AUTH__TOKEN",
        "SOURCES__VAULT__AUTH__APPROLE__SECRET_ID",
        "SOURCES__ENTRA__AUTH__CLIENT_SECRET__CLIENT_SECRET",
    ],
)
@pytest.mark.parametrize("value", ["hunter2", "012", "a: b", "*x", "[", "", "null"])
def test_secrets(path: str, value: str) -> None:
    """At a secret's place the value is the secret, to the letter, and is not shown."""
    read: object = said(**{path: value})
    while isinstance(read, Sited):
        assert not value or value not in repr(read)
        [read] = read.values()

    assert value == revealed(read)


def test_references() -> None:
    """At a secret's place a mapping in braces is a reference."""
    read = said(TENANTS__ACME__API_KEY=" {env: KEY}", TENANTS__ACME__WEBHOOK_SECRET__FILE="/x")

    assert {"api_key": {"env": "KEY"}, "webhook_secret": {"file": "/x"}} == read["tenants"]["acme"]


def test_secret_that_is_no_text() -> None:
    """A secret whose bytes are not UTF-8 is a mistake of its tenant, and not shown."""
    [problem] = overlay(TENANTS__ACME__API_KEY="hunter2\udc80")[1]

    assert ("tenants.acme.api_key", "the value is not YAML (not shown)") == (
        problem.path,
        problem.message,
    )


def test_name_that_is_no_text() -> None:
    """A name whose bytes are not UTF-8 is told in a way that can be printed."""
    [problem] = overlay(TENANTS__ACME__DEFAULT_HEADERS__X="a", **{"DEFAULTS__\udc80": "1"})[1]

    assert "env TENANTRY_DEFAULTS__\\udc80: the variable's name is not UTF-8" == str(problem)


@pytest.mark.parametrize("value", ["{a: hunter2", "a: hunter2: c", "hunter2\udc80", "*hunter2"])
def test_not_yaml(value: str) -> None:
    """A value that is not YAML is not shown, for it may be a secret."""
    [problem] = overlay(TENANTS__ACME__PROJECT=value)[1]

    site = Site("env TENANTRY_TENANTS__ACME__PROJECT")
    assert Problem("the value is not YAML (not shown)", "tenants.acme.project", site) == problem


@pytest.mark.parametrize(
    "name",
    [
        "CONFIG",
        "PORT",
        "SERVICE_HOST",
        "PORT_443_TCP_ADDR",
        "REGISTRY",
        "CATALOG",
        "VERSION",
        "OTHER__THING",
        "_X__TENANTS",
        "_",
    ],
)
def test_foreign_variables(name: str) -> None:
    """A Kubernetes Service called tenantry, or another program, sets what we do not look at."""
    assert {} == said(**{name: "tcp://10.0.0.1:443"})


def test_other_prefix() -> None:
    """Only names that begin with TENANTRY_ are looked at."""
    assert {} == read_environment({"TENANTS__ACME__PROJECT": "x"}, sited({}), [])


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("TENANT__ACME__PROJECT", "did you mean TENANTRY_TENANTS__...?"),
        ("DEFAULT__PROJECT", "did you mean TENANTRY_DEFAULTS__...?"),
        ("PROFLIES__A__PROJECT", "did you mean TENANTRY_PROFILES__...?"),
    ],
)
def test_misspelt_top_level(name: str, hint: str) -> None:
    """A name that nearly begins with a key of the configuration is a problem."""
    message = "begins with no key of the configuration"
    problem = Problem(message, site=Site(f"env TENANTRY_{name}"), hint=hint)

    assert ({}, [problem]) == overlay(**{name: "x"})


@pytest.mark.parametrize(
    ("name", "said", "hint"),
    [
        ("TENANTS__ACNE_EU__PROJECT", "tenant", "did you mean TENANTRY_TENANTS__ACME_EU__...?"),
        ("TENANTS__ZZZ__PROJECT", "tenant", ""),
        ("PROFILES__BACH__PROJECT", "profile", "did you mean TENANTRY_PROFILES__BATCH__...?"),
    ],
)
def test_misspelt_name(name: str, said: str, hint: str) -> None:
    """Where files define tenants or profiles, a name that meets none is a problem."""
    document: dict[str, Any] = {"tenants": {"acme-eu": {}}, "profiles": {"batch": {}}}
    message = f"names no {said} of the configuration"
    problem = Problem(message, site=Site(f"env TENANTRY_{name}"), hint=hint)

    assert ({}, [problem]) == overlay(document, **{name: "x"})


def test_sources_may_be_added() -> None:
    """Variables may declare a source that the files do not."""
    assert {"sources": {"eu": {"type": "vault"}}} == said(
        {"sources": {"vault": {}}}, SOURCES__EU__TYPE="vault"
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("TENANTS__ACME__TIMEOUT", "TENANTS__ACME__TIMEOUT__READ"),
        ("TENANTS__ACME__TIMEOUT__READ", "TENANTS__acme__TIMEOUT"),
        ("TENANTS__ACME__API_KEY", "TENANTS__ACME__API_KEY__ENV"),
        ("TENANTS__ACME__PROJECT", "TENANTS__acme__PROJECT"),
    ],
)
def test_said_by_two_variables(first: str, second: str) -> None:
    """Two variables that say the same are a problem that names both."""
    [problem] = overlay(**{first: "5", second: "5"})[1]

    assert Site(f"env TENANTRY_{second}") == problem.site
    assert f"says again what env TENANTRY_{first} says" == problem.message


@pytest.mark.parametrize("text", ["{origins: [https://a.example]}", "origins: [https://a.example]"])
def test_whole_section(text: str) -> None:
    """A variable that bears the name of a section may say all of it, or most."""
    origins = {"origins": ["https://a.example"]}

    assert {"allow": origins} == said(ALLOW=text)
    assert {"allow": {**origins, "secrets": {"vault": ["x"]}}} == said(
        ALLOW=text, ALLOW__SECRETS="{vault: [x]}"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{origins: [hunter2", "the value is not YAML (not shown)"),
        ("origins:\n\t- hunter2", "the value is not YAML (not shown)"),
        ("origins:[hunter2]", "is no mapping (not shown)"),
        ("[hunter2]", "is no mapping (not shown)"),
        ("'{origins: [hunter2]}'", "is no mapping (not shown)"),
    ],
)
def test_broken_section(text: str, message: str) -> None:
    """A restriction that cannot be read is a problem, and is not lost; the problem shows none."""
    overlaid, [problem] = overlay(ALLOW=text)

    assert ({}, message) == (overlaid, problem.message)
    assert "hunter2" not in str(problem)


def test_misspelt_section() -> None:
    """What holds a mapping, and nearly bears the name of a section, is a problem."""
    [problem] = overlay(ALOW="{origins: []}")[1]

    assert "did you mean TENANTRY_ALLOW__...?" == problem.hint


def test_an_images_version() -> None:
    """It is never a section, whatever it looks like; what is empty says nothing."""
    assert {} == said(VERSION="git: 0123abc", ALLOW="  ")


def test_misspelt_names_of_a_section() -> None:
    """Names within it have to meet the files' as those of paths do."""
    document: dict[str, Any] = {"tenants": {"acme-eu": {}}}
    section = "{acne-eu: {project: x}, ACME_EU: {project: y}}"
    overlaid, [problem] = overlay(document, TENANTS=section)

    assert {"tenants": {"acme-eu": {"project": "y"}}} == overlaid
    assert "names no tenant of the configuration" == problem.message
    assert "did you mean TENANTRY_TENANTS__ACME_EU__...?" == problem.hint


def test_mapping_and_more() -> None:
    """A variable may add to the mapping that another one is, or be empty."""
    assert {"tenants": {"acme": {"project": "p", "timeout": {"read": 5}}}} == said(
        TENANTS__ACME="{project: p}", TENANTS__ACME__TIMEOUT="", TENANTS__ACME__TIMEOUT__READ="5"
    )
