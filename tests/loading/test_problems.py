from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import Field, ValidationError

from tenantry.errors import ConfigError, Problem, Site
from tenantry.loading import load
from tenantry.loading.problems import found_by, with_excerpts, without_repeats
from tenantry.loading.values import sited
from tenantry.settings import Model
from tenantry.sources import kinds

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "hunter2"


def found(tmp_path: Path, text: str, **environ: str) -> tuple[Problem, ...]:
    file = tmp_path / "t.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file, environ=environ, kinds=kinds())
    error = caught.value
    shown = f"{error!s}{error!r}{error.problems!r}{error.args!r}"
    assert SECRET not in shown
    assert "hünter" not in shown
    return error.problems


def by_tenant(tmp_path: Path, said: str) -> tuple[Problem, ...]:
    return found(tmp_path, f"tenants:\n  acme:\n    {said}\n")


@pytest.mark.parametrize(
    ("text", "path", "hint"),
    [
        ("tenents: {}", "tenents", "tenants"),
        ("registry: {on_problems: fail}", "registry.on_problems", "on_problem"),
        ("refresh: {evry: 5m}", "refresh.evry", "every"),
        ("allow: {origin: []}", "allow.origin", "origins"),
        ("defaults: {max_retrys: 2}", "defaults.max_retrys", "max_retries"),
        ("defaults: {timeout: {raed: 2}}", "defaults.timeout.raed", "read"),
        ("profiles: {p: {orgnization: x}}", "profiles.p.orgnization", "organization"),
        ("tenants: {a: {profiles: x}}", "tenants.a.profiles", "profile"),
        ("tenants: {a: {endpoint: {}}}", "tenants.a.endpoint", "endpoints"),
        ("tenants: {a: {pool: {max_conections: 1}}}", "tenants.a.pool.max_conections", None),
        ("tenants: {a: {tls: {verfy: true}}}", "tenants.a.tls.verfy", "verify"),
        ("tenants: {a: {refresh: {wiat: 1}}}", "tenants.a.refresh.wiat", "wait"),
        ("tenants: {a: {api_key: {env: {nmae: X}}}}", "tenants.a.api_key.env.nmae", "name"),
        (
            "tenants: {a: {api_key: {file: {path: X, feild: y}}}}",
            "tenants.a.api_key.file.feild",
            "field",
        ),
        (
            "tenants: {a: {api_key: {env: {name: X, refresh: {evry: 1}}}}}",
            "tenants.a.api_key.env.refresh.evry",
            "every",
        ),
        (
            "tenants: {a: {api_key: {first_of: [{env: A}, {env: {name: B, feild: x}}]}}}",
            "tenants.a.api_key.first_of.1.env.feild",
            "field",
        ),
        (
            "tenants: {a: {workload_identity: {subject_tokn: {env: X}}}}",
            "tenants.a.workload_identity.subject_tokn",
            "subject_token",
        ),
        (
            "tenants: {a: {endpoints: {us: {projct: x}}}}",
            "tenants.a.endpoints.us.projct",
            "project",
        ),
    ],
)
def test_suggestions(tmp_path: Path, text: str, path: str, hint: str | None) -> None:
    """A misspelt key is told at every level, with its own place and the key that was meant."""
    [problem] = [each for each in found(tmp_path, text) if each.message.startswith("unknown key")]
    key = path.rpartition(".")[2]

    assert (f"unknown key {key!r}", path) == (problem.message, problem.path)
    assert (f"did you mean {hint!r}?" if hint else "did you mean 'max_connections'?") == (
        problem.hint
    )
    assert text.index(key) + 1 == (problem.site.column if problem.site else 0)


def test_no_suggestion(tmp_path: Path) -> None:
    """A key that is near to nothing is told without a suggestion, at its place."""
    [problem, *_] = by_tenant(tmp_path, "labels: {a: b}\n    zzz: 5\n    api_key: {env: X}")

    assert ("tenants.acme.zzz", "unknown key 'zzz'", "") == (
        problem.path,
        problem.message,
        problem.hint,
    )
    assert "        zzz: 5\n        ^" == problem.excerpt


def test_misspelt_and_missing(tmp_path: Path) -> None:
    """A key that is missing because it is misspelt is told once, as misspelt."""
    problems = found(tmp_path, "sources: {vault: {adress: 'https://v.example', auth: agent}}")

    assert [("sources.vault.adress", "unknown key 'adress'")] == [
        (problem.path, problem.message) for problem in problems[:1]
    ]
    assert "sources.vault.address" not in [problem.path for problem in problems]


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ("timeout: soon", "timeout"),
        ("timeout: {read: soon}", "timeout.read"),
        ("proxy: proxy.example", "proxy"),
        ("proxy: {url: proxy.example}", "proxy.url"),
        ("api_key: {python: 5}", "api_key.python"),
        ("api_key: {python: {call: 5}}", "api_key.python.call"),
        ("api_key: {python: {call: {a: b}}}", "api_key.python.call"),
        ("api_key: {file: 5}", "api_key.file"),
        ("api_key: {env: }", "api_key.env"),
        ("api_key: {first_of: {members: [5]}}", "api_key.first_of.members.0"),
        ("api_key: {first_of: [{env: [A]}]}", "api_key.first_of.0.env"),
        ("endpoints: {us: {timeout: soon}}", "endpoints.us.timeout"),
    ],
)
def test_paths_as_written(tmp_path: Path, said: str, path: str) -> None:
    """A path has the keys that somebody wrote, and one mistake is one problem."""
    good = "" if "api_key" in said else "\n    api_key: {env: KEY}"

    assert [f"tenants.acme.{path}"] == [each.path for each in by_tenant(tmp_path, f"{said}{good}")]


@pytest.mark.parametrize(
    ("variables", "path"),
    [
        ({"TIMEOUT": "soon"}, "timeout"),
        ({"TIMEOUT__READ": "soon"}, "timeout.read"),
        ({"TIMEOUT": "{read: soon}"}, "timeout.read"),
    ],
)
def test_paths_of_variables(tmp_path: Path, variables: dict[str, str], path: str) -> None:
    """The path of what a variable says is that of the key that it names."""
    environ = {f"TENANTRY_TENANTS__A__{name}": text for name, text in variables.items()}
    problems = found(tmp_path, "tenants: {a: {api_key: {env: KEY}}}", **environ)

    assert [f"tenants.a.{path}"] == [problem.path for problem in problems]


@pytest.mark.parametrize("said", ["hunter2", "[hunter2]", "{hunter2: }"])
def test_logins_are_not_shown(tmp_path: Path, said: str) -> None:
    """A way to log in that nobody knows may be a secret; those that there are are named."""
    text = str(found(tmp_path, f"sources: {{entra: {{auth: {said}}}}}")[0])

    assert "managed_identity, client_secret, certificate, workload_identity" in text


def test_login_that_was_meant(tmp_path: Path) -> None:
    """A way to log in that is nearly known is suggested, at the key where it stands."""
    problem = found(tmp_path, "sources: {entra: {auth: managed_identty}}")[0]

    assert ("sources.entra.auth", "did you mean 'managed_identity'?") == (
        problem.path,
        problem.hint,
    )


@pytest.mark.parametrize(
    ("said", "path", "message"),
    [
        ("max_retries: many", "max_retries", "is not a whole number"),
        ("max_retries: [1]", "max_retries", "is not a whole number"),
        ("enabled: maybe", "enabled", "is not true or false"),
        ("enabled: [true]", "enabled", "is not true or false"),
        ("organization: 5", "organization", "is not a text: quote it"),
        ("labels: {cost: 5}", "labels.cost", "is not a text: quote it"),
        ("labels: blue", "labels", "is not a mapping"),
        ("pool: 5", "pool", "is not a mapping"),
        ("api_key: {env: }", "api_key.env", "is empty"),
        ("api_key: {env: {}}", "api_key.env.name", "is missing"),
        ("api_key: {file: 5}", "api_key.file", "is not a path"),
        ("api_key: {first_of: []}", "api_key.first_of", "is empty"),
    ],
)
def test_words(tmp_path: Path, said: str, path: str, message: str) -> None:
    """What pydantic finds is told in our words."""
    texts = [f"{each.path}: {each.message}" for each in by_tenant(tmp_path, said)]

    assert f"tenants.acme.{path}: {message}" in texts


class Part(Model):
    known: int = 0


class Whole(Model):
    parts: list[Part] = Field(default_factory=list)


def test_models_out_of_sight() -> None:
    """Where annotations do not tell which keys there are, none is suggested."""
    values = sited({"parts": [{"knwon": 1}]})
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate(values)
    [problem] = found_by(caught.value, values, "", Whole)

    assert ("parts.0.knwon", "unknown key 'knwon'", "") == (
        problem.path,
        problem.message,
        problem.hint,
    )


def test_inside_first_of(tmp_path: Path) -> None:
    """What is wrong with a member is told with its number, and nothing is said twice."""
    problems = by_tenant(tmp_path, "api_key: {first_of: [{env: A}, {env: [x]}, hunter2]}")

    assert [
        "tenants.acme.api_key.first_of.1.env",
        "tenants.acme.api_key.first_of.2",
    ] == sorted(problem.path for problem in problems)


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


def excerpt(line: str, *, path: str = "a.b", above: str = "", column: int = 1) -> str:
    problem = Problem("wrong", path, Site("f", 2, column))
    [shown] = with_excerpts([problem], {"f": [above, line]})
    return shown.excerpt


def test_excerpt() -> None:
    """The line is shown with a caret below the column."""
    assert "      timeout: x\n      ^" == excerpt("  timeout: x  ", column=3)
    assert "    a b\n      ^" == excerpt("a\tb", column=3)


@pytest.mark.parametrize(
    "line",
    [
        "API_KEY: x",
        "x: sk-1",
        "token: x",
        "password: x",
        "  a: ${X}",
        "Auth: x",
        "literal: x",
        "url: https://user:x@y",
        "project: 8a7b6c5d4e3f2a1b",
        "client_secret: x",
        "credential: x",
        "default_headers: x",
        "default_query: x",
        "x" * 201,
    ],
)
def test_no_excerpt(line: str) -> None:
    """A line that may hold a secret, or is very long, is not shown."""
    assert "" == excerpt(line)


@pytest.mark.parametrize(
    ("line", "column", "shown"),
    [
        ("  api_key: hunter2", 3, "  api_key: (not shown)"),
        ("  api_key:", 3, "  api_key:"),
        ('  "api_key": hunter2', 3, '  "api_key": (not shown)'),
        ("  api_key: {hunter2: hunter2}", 3, "  api_key: (not shown)"),
        ("{api_key: hunter2}", 2, ""),
        ("  hunter2: hunter2", 3, ""),
        ("  api_key hunter2", 3, ""),
    ],
)
def test_key_alone(line: str, column: int, shown: str) -> None:
    """Of a line that may hold a secret its key is shown, if the path says it anyway."""
    caret = f"    {shown}\n    {' ' * (column - 1)}^" if shown else ""

    assert caret == excerpt(line, path="tenants.acme.api_key", column=column)


def test_no_excerpt_inside_secrets() -> None:
    """Nor is a line that stands, by its path or by the lines above it, where secrets are."""
    assert "    X-Any: (not shown)\n    ^" == excerpt(
        "X-Any: x", path="tenants.acme.default_headers.X-Any"
    )
    assert "" == excerpt("x", path="", above="literal: >")
    assert "    x\n    ^" == excerpt("x", path="a", above="literal: >")
    assert "    x\n    ^" == excerpt("x", path="", above="timeout: >")


@pytest.mark.parametrize("site", [None, Site("f"), Site("f", 3, 1), Site("other", 1, 1)])
def test_no_line(site: Site | None) -> None:
    """What has no line that was read has no excerpt."""
    problem = Problem("wrong", site=site)

    assert [problem] == with_excerpts([problem], {"f": ["a", "b"]})


def test_excerpt_stays() -> None:
    """An excerpt is made once."""
    problem = Problem("wrong", site=Site("f", 1, 1), excerpt="shown")

    assert [problem] == with_excerpts([problem], {"f": ["a"]})


def test_order() -> None:
    """Problems come in the order of the files, each once; those without a place come first."""
    sites: list[Any] = [Site("b", 1, 1), Site("a", 10, 1), None, Site("a", 9, 2), Site("a", 9, 1)]
    problems = [Problem("wrong", site=site) for site in sites]

    assert [None, Site("a", 9, 1), Site("a", 9, 2), Site("a", 10, 1), Site("b", 1, 1)] == [
        problem.site for problem in without_repeats([*problems, *problems])
    ]


def kept(*problems: Problem) -> list[str]:
    return [problem.message for problem in without_repeats(problems)]


def test_what_follows_from_another() -> None:
    """What is mended with another problem is not told: one mistake is one problem."""
    shape = Problem("is not a mapping", "sources.entra")
    unset = Problem("variable X is not set, or empty", "sources.vault.address")
    source = Problem("unknown kind of source 'vualt'", "sources.vualt")

    assert [shape.message] == kept(shape, Problem("is missing", "sources.entra.auth"))
    assert [shape.message, "is missing"] == kept(shape, Problem("is missing", "sources.entra2.a"))
    assert [unset.message] == kept(Problem("is not an http(s) URL", unset.path), unset)
    assert [source.message] == kept(
        source, Problem("source 'vualt' is declared, but not with a known `type`", "tenants.a.b")
    )


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
