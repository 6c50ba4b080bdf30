from __future__ import annotations

from typing import Any

import pytest
from pydantic import Field, SecretStr, ValidationError

from tenantry.settings import (
    Model,
    NestedProblems,
    References,
    SecretReference,
    SourceSettings,
)
from tenantry.settings.references import PlainOrSecret, TextOrSecret
from tenantry.sources import kinds

REFERENCES = References(kinds(), {"vault": "vault", "eu": "vault", "bad": "nothing"})


class Place(Model):
    api_key: SecretReference | None = None
    headers: dict[str, TextOrSecret] = Field(default_factory=dict)
    query: dict[str, PlainOrSecret] = Field(default_factory=dict)


def read(value: object) -> SecretReference:
    found = Place.model_validate({"api_key": value}, context=REFERENCES).api_key
    assert found is not None
    return found


def fault(value: object, key: str = "api_key") -> Any:
    with pytest.raises(ValidationError) as caught:
        Place.model_validate({key: value}, context=REFERENCES)
    assert "hunter2" not in f"{caught.value!s}{caught.value!r}"
    [error] = caught.value.errors()
    return error


def message(value: object, key: str = "api_key") -> str:
    return str(fault(value, key)["msg"])


def hint(value: object) -> str:
    return str(fault(value)["ctx"]["hint"])


def nested(value: object) -> NestedProblems:
    found = fault(value)["ctx"]["error"]
    assert isinstance(found, NestedProblems)
    return found


def function() -> str:
    return "sk-1"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"env": "KEY"}, "env KEY"),
        ({"env": {"name": "KEY"}}, "env KEY"),
        ({"file": "/run/key"}, "file /run/key"),
        ({"vault": "tenants/acme"}, "vault tenants/acme"),
        ({"eu": {"path": "tenants/acme", "version": 3, "field": "x"}}, "eu tenants/acme"),
        ({"python": "app.keys:acme"}, "python app.keys:acme"),
        ({"python": function}, "python function"),
        ({"literal": "sk-hunter2"}, "literal (in the configuration)"),
        ({"literal": SecretStr("sk-hunter2")}, "literal (in the configuration)"),
        (SecretStr("sk-hunter2"), "literal (in the configuration)"),
        (function, "python function"),
        (
            {"first_of": [{"vault": "a"}, {"env": "B"}, SecretStr("hunter2")]},
            "first_of vault a, env B, literal (in the configuration)",
        ),
    ],
)
def test_shapes(value: object, shown: str) -> None:
    """A reference is a mapping with one key; code may say a SecretStr or a callable."""
    found = read(value)

    assert shown == str(found)
    assert "api_key" == found.setting
    assert "hunter2" not in repr(found)


def test_made_already() -> None:
    """A reference that was made already is taken as it is, and learns where it stands."""
    found = read({"env": "KEY"})

    assert found is read(found)
    assert "api_key" == read(SecretReference("env", found.options)).setting


def test_equality() -> None:
    """Two references are equal if they ask the same of the same source, wherever they stand."""
    found = read({"env": "KEY"})

    assert found == SecretReference("env", found.options, "webhook_secret")
    assert found != read({"env": {"name": "KEY", "field": "x"}})
    assert 1 == len({found, read({"env": {"name": "KEY"}})})


def test_locator() -> None:
    """Field and refresh limits do not tell documents apart."""
    one = read({"vault": {"path": "a", "field": "x", "refresh": {"every": "1m"}}})
    other = read({"vault": {"path": "a", "field": "y"}})

    assert one.options.locator == other.options.locator
    assert one.options.locator != read({"vault": {"path": "a", "version": 2}}).options.locator


@pytest.mark.parametrize("value", ["sk-hunter2", "", 5, True, ["sk-hunter2"], b"sk-hunter2"])
def test_plain_values(value: object) -> None:
    """A plain value is refused without being shown."""
    assert "wants a secret reference, not a plain value (not shown)" == message(value)
    assert "write {env: NAME}, {file: PATH} or {SOURCE: PATH}" == hint(value)


PLAIN_HINT = "write {env: NAME}, {file: PATH} or {SOURCE: PATH}"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, PLAIN_HINT),
        ({"env": "A", "file": "B"}, PLAIN_HINT),
        ({"hunter2": 1, "x": "hunter2"}, PLAIN_HINT),
        ({"env": "A", "hunter2": 1}, PLAIN_HINT),
        ({"env": "A", "field": "b"}, "write the rest inside: {env: {name: ..., field: ...}}"),
        (
            {"version": 3, "vault": "a", "mount": "kv"},
            "write the rest inside: {vault: {path: ..., version: ..., mount: ...}}",
        ),
    ],
)
def test_exactly_one_key(value: object, said: str) -> None:
    """A reference has exactly one key; what was likely meant is shown, without a value."""
    assert "is no secret reference: that is a mapping with one key, its source" == message(value)
    assert said == hint(value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"vualt": "x"}, "unknown source 'vualt'"),
        ({"sk-hunter2": None}, "names an unknown source (not shown)"),
        ({"entra": {}}, "source 'entra' is not declared: add it under the top-level key `sources`"),
        ({"bad": "x"}, "source 'bad' is declared, but not with a known `type`"),
    ],
)
def test_sources(value: object, said: str) -> None:
    """A source is declared or built in; what may be a secret is not taken for its name."""
    assert message(value).startswith(said)


def test_source_that_was_meant() -> None:
    """With an unknown source come those that there are, to suggest the nearest."""
    assert ("vualt", REFERENCES.names()) == fault({"vualt": "x"})["ctx"]["meant"]
    assert hint({"vualt": "x"}).startswith("declared or built in are bad, ")
    assert "meant" not in fault({"sk-hunter2": None})["ctx"]


@pytest.mark.parametrize(
    ("value", "within", "location"),
    [
        ({"env": None}, "env", ("name",)),
        ({"env": 5}, "env", ("name",)),
        ({"vault": {"path": ""}}, "vault", ("path",)),
        ({"vault": {"path": "x", "feild": "hunter2"}}, "vault", ("feild",)),
        ({"eu": {"path": "x", "version": 0}}, "eu", ("version",)),
        ({"python": "no_function"}, "python", ("call",)),
        ({"first_of": []}, "first_of", ("members",)),
        ({"first_of": [{"env": "A"}, {"env": ["hunter2"]}]}, "first_of", ("members", 1)),
        ({"first_of": ["hunter2"]}, "first_of", ("members", 0)),
    ],
)
def test_inside(value: object, within: str, location: tuple[str | int, ...]) -> None:
    """What is wrong inside a reference is carried out with its place and its model."""
    found = nested(value)
    error = found.cause.errors(include_input=False)[0]

    assert (within, location) == (found.within, error["loc"])
    kind = REFERENCES.kind_of(within)
    assert kind is not None
    assert kind.reference is found.model
    assert "hunter2" not in f"{found!s}{found!r}{found.cause!s}"


@pytest.mark.parametrize(
    ("value", "kept"),
    [("blue", "blue"), (5, "5"), (1.5, "1.5"), (True, "true"), (False, "false"), ("", "")],
)
def test_text_or_secret(value: object, kept: str) -> None:
    """A header's plain value is text; true and false are written as YAML writes them."""
    assert kept == Place.model_validate({"headers": {"x": value}}).headers["x"]


@pytest.mark.parametrize("value", ["blue", 5, 1.5, True])
def test_plain_or_secret(value: object) -> None:
    """A plain value of the query keeps its kind."""
    assert value is Place.model_validate({"query": {"x": value}}).query["x"]


@pytest.mark.parametrize("key", ["headers", "query"])
@pytest.mark.parametrize("value", [{"env": "KEY"}, SecretStr("hunter2"), function])
def test_secrets_of_many(key: str, value: object) -> None:
    """In a mapping of many the key says nothing about a document's field."""
    place = Place.model_validate({key: {"x": value}}, context=REFERENCES)
    found = getattr(place, key)["x"]

    assert isinstance(found, SecretReference)
    assert "" == found.setting


@pytest.mark.parametrize("key", ["headers", "query"])
@pytest.mark.parametrize("value", [None, ["hunter2"], ("hunter2",), {"hunter2"}, b"hunter2"])
def test_neither(key: str, value: object) -> None:
    """What is neither plain nor a reference is refused without being shown."""
    assert "is a text, a number or a secret reference" == message({"x": value}, key)


def test_context() -> None:
    """Without the table of kinds a reference cannot be read, and that is a mistake of code."""
    with pytest.raises(TypeError, match="with References as the validation context"):
        Place.model_validate({"api_key": {"env": "KEY"}})


def test_names() -> None:
    """A reference may point at what is declared, and at kinds that need no declaration."""
    built_in = {"env", "file", "first_of", "literal", "python"}

    assert built_in <= set(References(kinds()).names())
    assert {"bad", "eu", "vault", *built_in} <= set(REFERENCES.names())
    assert "vault" not in References(kinds()).names()
    assert References(kinds()).kind_of("vault") is None


def test_source_settings() -> None:
    """A source needs no secrets unless its kind says so."""
    assert () == SourceSettings().references()
