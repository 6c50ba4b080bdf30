from __future__ import annotations

from typing import Any

import pytest

from tenantry.errors import ConfigError
from tenantry.loading import Configuration, load
from tenantry.loading.sources import RESERVED
from tenantry.sources import kinds

VAULT = {"address": "https://vault.example", "auth": {"token_file": "/token"}}
TENANTS = {"acme": {"api_key": {"env": "KEY"}}}


def read(sources: object, **environ: str) -> Configuration:
    return load({"sources": sources, "tenants": TENANTS}, environ=environ, kinds=kinds())


def stopping(sources: object, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(sources, **environ)
    return [
        f"{problem.path}: {problem.message}" + (f" ({problem.hint})" if problem.hint else "")
        for problem in caught.value.problems
    ]


def test_declared() -> None:
    """A source is declared by the name of its kind, or by any other with a `type`."""
    sources = read({"vault": VAULT, "eu": {"type": "vault", **VAULT}}).sources

    assert {"vault": "vault", "eu": "vault"} == {name: s.kind.name for name, s in sources.items()}
    assert sources["vault"].settings == sources["eu"].settings


def test_by_name_alone() -> None:
    """How to log in may be said by name alone."""
    settings: Any = read({"entra": {"auth": "managed_identity"}}).sources["entra"].settings

    assert {"managed_identity"} == settings.auth.model_fields_set


def test_variables() -> None:
    """A variable says, or changes, what a source says; its secrets are literal."""
    variables = {
        "TENANTRY_SOURCES__VAULT__AUTH__TOKEN": "s.hunter2",
        "TENANTRY_SOURCES__EU__TYPE": "vault",
        "TENANTRY_SOURCES__EU__ADDRESS": "https://eu.example",
        "TENANTRY_SOURCES__EU__AUTH__APPROLE__ROLE_ID": "role",
        "TENANTRY_SOURCES__EU__AUTH__APPROLE__SECRET_ID": "{file: /run/secret-id}",
    }
    sources = read({"vault": {"address": "https://vault.example"}}, **variables).sources

    found = [reference for source in sources.values() for reference in source.settings.references()]
    assert {"literal (in the configuration)", "file /run/secret-id"} == {str(f) for f in found}


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_reserved_names(name: str) -> None:
    """No source bears the name of an argument."""
    assert [
        f"sources.{name}: a source cannot be called {name!r}: references use that word"
    ] == stopping({name: {"type": "vault", **VAULT}})


@pytest.mark.parametrize("name", ["env", "file", "python", "first_of", "literal"])
@pytest.mark.parametrize("said", [{}, None, {"type": "vault", **VAULT}])
def test_built_in_names(name: str, said: object) -> None:
    """No source bears the name of a built-in kind."""
    assert [
        f"sources.{name}: {name!r} is a built-in kind of source: give yours another name"
    ] == stopping({name: said})


def test_name_of_another_kind() -> None:
    """A source called vault is of the kind vault."""
    assert [
        "sources.entra: 'entra' is a built-in kind of source: give yours another name"
    ] == stopping({"entra": {"type": "vault", **VAULT}})


@pytest.mark.parametrize(
    ("name", "said", "problem"),
    [
        ("eu", {"type": "vualt"}, "unknown kind of source 'vualt' (did you mean 'vault'?)"),
        ("vualt", None, "unknown kind of source 'vualt' (did you mean 'vault'?)"),
        ("eu", {}, "unknown kind of source 'eu' (say `type:` with one of vault, entra"),
        (
            "eu",
            {"type": ["sk-hunter2"]},
            "unknown kind of source '' (say `type:` with one of vault",
        ),
        ("eu", {"type": "env"}, "a source of kind 'env' is built in and needs no declaration"),
    ],
)
def test_kinds(name: str, said: object, problem: str) -> None:
    """The kind of a source is one that has to be declared."""
    [found] = stopping({name: said})

    assert found.startswith(f"sources.{name}: {problem}")


@pytest.mark.parametrize(
    ("said", "problems"),
    [
        (None, ["sources.vault.address: is missing", "sources.vault.auth: is missing"]),
        ({**VAULT, "adress": "x"}, ["sources.vault.adress: unknown key 'adress' (did you mean"]),
        ({**VAULT, "address": "vault:8200"}, ["sources.vault.address: is not an http(s) URL"]),
        (
            {**VAULT, "auth": {"approle": {"role": "x"}}},
            [
                "sources.vault.auth.approle.secret_id: is missing",
                "sources.vault.auth.approle.role: unknown key 'role' (did you mean 'role_id'?)",
            ],
        ),
        (
            {**VAULT, "auth": {"token": "s.hunter2"}},
            ["sources.vault.auth.token: wants a secret reference"],
        ),
        ({**VAULT, "auth": "s.hunter2"}, ["sources.vault.auth: is not a mapping"]),
        ({**VAULT, "auth": {"kubernets": {}}}, ["sources.vault.auth.kubernets: unknown key"]),
    ],
)
def test_settings(said: object, problems: list[str]) -> None:
    """A source's settings are checked by its kind; every problem has its path."""
    found = stopping({"vault": said})

    assert len(problems) == len(found)
    assert all(text.startswith(start) for text, start in zip(found, problems, strict=True)), found
    assert "hunter2" not in str(found)


def test_auth_by_unknown_name() -> None:
    """A login that nobody knows is not shown: it may be a secret in the wrong place."""
    found = stopping({"entra": {"auth": "hunter2"}})

    assert found[0].startswith(
        "sources.entra.auth: has to be one of managed_identity, client_secret"
    )
    assert "hunter2" not in str(found)


def test_auth_misspelt() -> None:
    """A login that is nearly known is suggested."""
    [found] = stopping({"entra": {"auth": "managed_identty"}})

    assert found.startswith("sources.entra.auth: has to be one of ")
    assert found.endswith("(did you mean 'managed_identity'?)")


@pytest.mark.parametrize("sources", [[], 5, {"vault": 5}, {"vault": ["x"]}])
def test_mappings(sources: object) -> None:
    """Sources are a mapping of mappings."""
    assert ": is not a mapping" in stopping(sources)[0]


def approle(reference: object) -> dict[str, object]:
    return {**VAULT, "type": "vault", "auth": {"approle": {"role_id": "r", "secret_id": reference}}}


def test_circle_of_one() -> None:
    """A source does not log in with a secret of its own."""
    assert ["sources.eu: eu needs eu, to log in: a circle"] == stopping(
        {"eu": approle({"eu": "x"})}
    )


def test_circle_of_several() -> None:
    """Circles are found across sources and inside first_of, and name their members only."""
    found = stopping(
        {
            "a": approle({"first_of": [{"env": "X"}, {"b": "x"}]}),
            "b": approle({"a": "x"}),
            "c": approle({"a": "x"}),
        }
    )

    assert [
        "sources.a: a needs b, which needs a, to log in: a circle",
        "sources.b: b needs a, which needs b, to log in: a circle",
    ] == found


def test_chain() -> None:
    """One source may log in with a secret of another."""
    assert {"a", "b"} == set(read({"a": approle({"b": "x"}), "b": approle({"file": "/x"})}).sources)


def test_reference_to_a_broken_source() -> None:
    """A reference to a source of unknown kind is not told to be undeclared."""
    with pytest.raises(ConfigError) as caught:
        load(
            {"sources": {"eu": {"type": "x"}}, "tenants": {"acme": {"api_key": {"eu": "p"}}}},
            environ={},
            kinds=kinds(),
        )

    assert "unknown kind of source 'x'" in str(caught.value)
    assert "is not declared" not in str(caught.value)
