"""A problem is told once, in our words, at the place where somebody wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pydantic import Field, ValidationError
from tests.loading.problems.conftest import by_tenant, found

from tenantry.loading.problems import found_by
from tenantry.loading.values import sited
from tenantry.settings import Model

if TYPE_CHECKING:
    from pathlib import Path


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
