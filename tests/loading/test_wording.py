"""What pydantic says is never told: every kind of error that a configuration causes has words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tenantry.errors import ConfigError
from tenantry.loading import load
from tenantry.sources import kinds

if TYPE_CHECKING:
    from tenantry.errors import Problem

VAULT = {"address": "https://vault.example", "auth": "agent"}
DURATION = "is not a duration: write seconds as a number, or 250ms, 5s, 10m, 1h, 7d"


def told(config: dict[str, Any]) -> Problem:
    with pytest.raises(ConfigError) as caught:
        load(config, environ={}, kinds=kinds())
    assert "hunter2" not in f"{caught.value}"
    return caught.value.problems[0]


def told_of_acme(said: dict[str, Any]) -> Problem:
    config = {"sources": {"vault": VAULT}, "tenants": {"acme": {"api_key": {"env": "A"}, **said}}}
    return told(config)


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        ({"enabled": "hunter2"}, "is not true or false", ""),
        ({"max_retries": "hunter2"}, "is not a whole number", ""),
        ({"max_retries": 1.5}, "is not a whole number", ""),
        ({"max_retries": -1}, "has to be at least 0", ""),
        ({"organization": 5}, "is not a text: quote it", ""),
        ({"organization": ["hunter2"]}, "is not a text", ""),
        ({"organization": {"a": 1, "b": 2}}, "is not a text", ""),
        (
            {"organization": {"env": "ORG"}},
            "is not a text: no secret reference can stand here",
            "",
        ),
        ({"rotated_at": "hunter2"}, "is not a time", "write it as 2026-01-31T12:00:00Z"),
        ({"rotated_at": ["hunter2"]}, "is not a time", "write it as 2026-01-31T12:00:00Z"),
        ({"provider": "hunter2"}, "has to be 'openai' or 'azure'", ""),
        ({"provider": "azur"}, "has to be 'openai' or 'azure'", "did you mean 'azure'?"),
        ({"tls": False}, "is not a mapping", "its keys are ca, certificate, key, verify"),
        ({"labels": "a"}, "is not a mapping", "write NAME: VALUE, a line each below it"),
        ({"tls": {"ca": 5}}, "is not a path", ""),
        ({"timeout": "hunter2"}, DURATION, ""),
        (
            {"api_key": {"command": "hunter2"}},
            "is not a list",
            "put it in brackets: [..., ...]",
        ),
        ({"api_key": {"first_of": []}}, "is empty", ""),
        ({"api_key": {"vault": ""}}, "is empty", ""),
        ({"api_key": {"vault": {}}}, "is missing", "The document's path below the mount."),
        ({"api_key": {"vualt": "x"}}, "unknown source 'vualt'", "did you mean 'vault'?"),
        (
            {"api_key": {"onepassword": "x"}},
            "unknown source 'onepassword'",
            "declared or built in are command, env, file, first_of, literal, python, vault",
        ),
    ],
)
def test_words(said: dict[str, Any], message: str, hint: str) -> None:
    """A mistake is told in our words, with what to do where there is more to say."""
    problem = told_of_acme(said)

    assert (message, hint) == (problem.message, problem.hint)


@pytest.mark.parametrize(
    ("config", "message", "hint"),
    [
        ({"registry": {"max_removals": 2}}, "has to be at most 1", ""),
        ({"registry": {"max_removals": "hunter2"}}, "is not a number", ""),
        ({"version": 2}, "has to be 1", ""),
        ({"defaults": 5}, "is not a mapping", "write NAME: VALUE, a line each below it"),
        ({"allow": {"origins": "hunter2"}}, "is not a list", "put it in brackets: [..., ...]"),
        (
            {"sources": {"gcp_secrets": {"project": "hunter2 "}}},
            "is not spelled as it has to be",
            "The project's id, letters, digits and .:- only.",
        ),
        (
            {
                "sources": {"aws_secrets": None},
                "tenants": {"a": {"api_key": {"aws_secrets": {"name": "a", "version": "3"}}}},
            },
            "is shorter than 32 characters",
            "Pin one version, by its VersionId; the current one unless said.",
        ),
        (
            {
                "sources": {"aws_secrets": None},
                "tenants": {"a": {"api_key": {"aws_secrets": {"name": "a" * 2049}}}},
            },
            "is longer than 2048 characters",
            "The secret's name or ARN.",
        ),
    ],
)
def test_words_of_others(config: dict[str, Any], message: str, hint: str) -> None:
    """So is one that stands outside of tenants, or in a source's reference."""
    problem = told(config)

    assert (message, hint) == (problem.message, problem.hint)


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ({"tmeout": 5}, "did you mean 'timeout'?"),
        ({"connect": 5}, "it stands inside `timeout`"),
        ({"max_connections": 5}, "it stands inside `pool`"),
        ({"ca": "x"}, "it stands inside `tls`"),
        ({"subject_token": {"env": "X"}}, "it stands inside `workload_identity`"),
        ({"allow": {}}, "it stands at the top of the configuration"),
        ({"profiles": "p"}, "did you mean 'profile'?"),
        ({"zzz": 5}, ""),
        ({"timeout": {"zzz": 5}}, "its keys are connect, read, write, pool"),
        ({"timeout": {"raed": 5}}, "did you mean 'read'?"),
        ({"labels": {"a": "b"}, "lables": {}}, "did you mean 'labels'?"),
    ],
)
def test_unknown_keys(said: dict[str, Any], hint: str) -> None:
    """An unknown key is told with the one that was meant, where it belongs, or those there are."""
    [key] = [name for name in ({**said, **said.get("timeout", {})}) if name not in _KNOWN]
    problem = told_of_acme(said)

    assert (f"unknown key {key!r}", hint) == (problem.message, problem.hint)


_KNOWN = {"timeout", "labels"}


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("api_key", "tenants say it: put it under `defaults`, or under a tenant"),
        ("timeout", "tenants say it: put it under `defaults`, or under a tenant"),
        ("endpoints", "tenants say it: put it under `defaults`, or under a tenant"),
        ("every", "it stands inside `refresh`"),
        ("origins", "it stands inside `allow`"),
        ("profile", "did you mean 'profiles'?"),
        ("zzz", "its keys are version, catalog, sources, allow, refresh, registry, defaults,"),
    ],
)
def test_unknown_keys_at_the_top(key: str, hint: str) -> None:
    """A tenant's key at the top is told where it belongs."""
    assert told({key: 5}).hint.startswith(hint)
