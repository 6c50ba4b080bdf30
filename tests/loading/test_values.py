from __future__ import annotations

import pytest
from pydantic import SecretStr

from tenantry.errors import Site
from tenantry.loading.values import CODE, Sited, place_at, site_of, sited, value_at
from tenantry.loading.yaml import read_yaml
from tenantry.settings import Settings, TimeoutSettings


def test_put_and_take() -> None:
    """A key and its place come and go together."""
    values = Sited()
    values.put("a", 1, Site("f", 1, 1))
    assert ({"a": 1}, {"a": Site("f", 1, 1)}) == (values, dict(values.sites))

    values.take("a")
    values.take("never")
    assert ({}, {}) == (values, dict(values.sites))


def test_copy() -> None:
    """A copy shares values and has keys and places of its own."""
    values = Sited(Site("f"))
    values.put("a", [1], Site("f", 1, 1))
    twin = values.copy()
    twin.put("b", 2, Site("f", 2, 1))

    assert (["a"], [Site("f", 1, 1)]) == (list(values), list(values.sites.values()))
    assert Site("f") == twin.site
    assert values["a"] is twin["a"]


def test_numbered_places() -> None:
    """A place that is one number stands for a line and column of the mapping's own file."""
    values = Sited.within("f", place_at(0, 0))
    values["a"] = 1
    values.places["a"] = place_at(149_999, 5_000_000)

    assert (Site("f", 1, 1), {"a": Site("f", 150_000, 5_000_001)}) == (
        values.site,
        dict(values.sites),
    )
    assert (1, ["a"], True, False) == (
        len(values.sites),
        list(values.sites),
        "a" in values.sites,
        "b" in values.sites,
    )


def test_move_to() -> None:
    """What moves to another file keeps the places where it was said."""
    values = Sited.within("f", place_at(0, 0))
    values["a"] = 1
    values.places["a"] = place_at(1, 1)
    values.move_to("f")
    values.move_to("g")
    values["b"] = 2
    values.places["b"] = place_at(8, 8)

    assert (Site("f", 1, 1), {"a": Site("f", 2, 2), "b": Site("g", 9, 9)}) == (
        values.site,
        dict(values.sites),
    )


def test_sited() -> None:
    """Plain mappings become sited ones at every depth; other values stay themselves."""
    secret = SecretStr("hunter2")
    read = sited({"a": {1: [{"b": secret}], "t": (1, 2)}})

    assert {"a": {"1": [{"b": secret}], "t": [1, 2]}} == read
    assert isinstance(read["a"]["1"][0], Sited)
    assert read["a"]["1"][0]["b"] is secret


def test_sited_twice() -> None:
    """What is sited already is left as it is."""
    values = Sited()

    assert sited(values) is values
    assert sited([values])[0] is values


def test_sited_models() -> None:
    """A model stands for what was said in it."""
    said = Settings(defaults={"timeout": TimeoutSettings(read=5.0)}, tenants={"acme": None})

    assert {"defaults": {"timeout": {"read": 5.0}}, "tenants": {"acme": None}} == sited(said)


def test_places_in_code() -> None:
    """Two places in code are never the same, and read the same."""
    read = sited({"a": {"x": 1}, "b": {"x": 1}})

    assert read["a"].sites["x"] != read["b"].sites["x"]
    assert str(CODE) == str(read["a"].sites["x"]) == "in code"


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 1),
        (("a",), 1),
        (("a", "b"), 2),
        (("a", "none", "x"), 1),
        (("a", "list"), 3),
        (("a", "list", 0), 4),
        (("a", "list", 1, "d"), 6),
        (("a", "list", "members", 1, "d"), 6),
        (("a", "list", 9, "d"), 3),
        (("a", "b", "inside"), 2),
    ],
)
def test_site_of(path: tuple[str | int, ...], line: int) -> None:
    """The place of a value is the nearest one known on the way to it."""
    text = "a:\n  b: 1\n  list:\n    - c: 1\n    - c: 2\n      d: 3\n"
    site = site_of(read_yaml(text, "f", []), path)

    assert line == (site.line if site else 0)


def test_site_of_nothing() -> None:
    """What is no mapping has no place."""
    assert site_of(5, ("a",)) is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("a", "b"), None),
        (("a", "list", 0), 1),
        (("a", "list", "members", 0), 1),
        (("a", "none"), "missing"),
        (("a", "text", "x"), "missing"),
    ],
)
def test_value_at(path: tuple[str | int, ...], value: object) -> None:
    """A null that was written is told from what was not; a list may stand for its mapping."""
    values = sited({"a": {"b": None, "list": [1], "text": "x"}})

    assert value == value_at(values, path, "missing")
